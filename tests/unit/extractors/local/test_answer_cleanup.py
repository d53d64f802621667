"""What a small model says without knowing is taken back where the schema takes it."""

from typing import Any

from promptreel_server.extractors.json_schema.compiled import compiled
from promptreel_server.extractors.local.answer_cleanup import tidied

MAYBE = {"type": ["string", "null"]}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "place": MAYBE,
        "mood": {"type": "string", "enum": ["none", "calm"]},
        "age": {"type": "integer"},
        "people": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": MAYBE, "role": {"type": "string", "minLength": 1}},
            },
        },
        "topics": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["summary", "place"],
}
EVIDENCE = 'Spoken words: "The mayor of Leeds opens two bridges"'


def _tidied(**answer: Any) -> Any:
    answer = {"summary": "A bridge.", "place": "Leeds", **answer}
    found = tidied(answer, SCHEMA, EVIDENCE)
    assert compiled(SCHEMA).validate(found) == []
    return found


def test_filler_becomes_null_where_null_is_allowed() -> None:
    assert _tidied(place="None")["place"] is None
    assert _tidied(place=" unknown. ")["place"] is None
    assert _tidied(place="")["place"] is None


def test_filler_becomes_empty_where_null_is_not_allowed() -> None:
    assert _tidied(summary="N/A")["summary"] == ""


def test_what_no_word_of_the_evidence_supports_becomes_null() -> None:
    assert _tidied(place="Paris")["place"] is None
    assert _tidied(place="the bridge at Leeds")["place"] == "the bridge at Leeds"


def test_short_names_and_scripts_without_spaces_are_found_in_the_evidence() -> None:
    schema = {"type": "object", "properties": {"place": MAYBE}}
    assert tidied({"place": "UK"}, schema, "born in the UK.") == {"place": "UK"}
    assert tidied({"place": "東京"}, schema, "今日は東京で雨です") == {"place": "東京"}
    assert tidied({"place": "大阪"}, schema, "今日は東京で雨です") == {"place": None}


def test_texts_that_may_not_be_null_and_enums_stay_as_they_are() -> None:
    found = _tidied(summary="Paris in spring.", mood="none")
    assert found["summary"] == "Paris in spring."
    assert found["mood"] == "none"


def test_long_descriptions_in_the_models_own_words_stay() -> None:
    words = (
        "Somebody talks at length about something that concerns everybody who lives around there"
    )
    assert _tidied(place=words)["place"] == words


def test_an_optional_property_that_may_not_be_null_is_left_out() -> None:
    assert "age" not in _tidied(age=None)
    assert _tidied(age=7)["age"] == 7


def test_numbers_and_booleans_that_nothing_tells_become_null_where_null_is_allowed() -> None:
    schema = {
        "type": "object",
        "properties": {
            "year": {"type": ["integer", "null"]},
            "indoors": {"type": ["boolean", "null"]},
            "has_music": {"type": ["boolean", "null"]},
            "score": {"type": "number"},
            "anything": {},
        },
    }
    said = {"year": 1455, "indoors": True, "has_music": True, "score": 0.5, "anything": True}
    heard = "Spoken words: the bible of about 1455\nSounds: music"
    assert tidied(said, schema, heard) == said | {"indoors": None}
    assert tidied({"year": 1456}, schema, heard) == {"year": None}


def test_lists_lose_empty_and_repeated_entries_and_what_nobody_mentioned() -> None:
    topics = ["mayor", "none", "", "mayor", "submarines", "new bridge"]
    assert _tidied(topics=topics)["topics"] == ["mayor", "new bridge"]


def test_an_entry_of_which_one_text_is_supported_stays_with_the_others_tidied() -> None:
    people = [
        {"name": "Zoltan", "role": "mayor"},
        {"name": "Zoltan", "role": "pilot"},
        {"name": None, "role": None},
    ]
    assert _tidied(people=people)["people"] == [{"name": None, "role": "mayor"}]


def test_entries_without_free_texts_stay() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"enum": ["red", "blue"]}}},
    }
    assert tidied({"a": ["red"]}, schema, "") == {"a": ["red"]}
    numbers = {"type": "object", "properties": {"a": {"type": "array"}}}
    assert tidied({"a": [3, 3, False, None]}, numbers, "") == {"a": [3, 3, False, None]}


def test_a_list_that_must_hold_something_is_left_alone() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "minItems": 1, "items": {"type": "string"}}},
    }
    assert tidied({"a": ["none"]}, schema, "") == {"a": ["none"]}
