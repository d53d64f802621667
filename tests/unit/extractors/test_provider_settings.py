"""Settings of the providers reach them."""

from promptreel_server.model_instances import Models
from promptreel_server.settings import Settings
from tests import footage
from tests.stand_ins.gemini import gemini_served
from tests.stand_ins.openai_compatible import openai_served
from tests.unit.extractors.requests import SCHEMA, synthesis_request


async def test_gemini_is_asked_as_the_settings_say() -> None:
    async with gemini_served() as gemini:
        settings = Settings(
            gemini_api_key="AIza-stand-in-key-0123456789",
            gemini_base_url=gemini.url,
            gemini_fps=2.0,
            gemini_media_resolution="low",
            gemini_thinking_budget=0,
        )
        models = Models(settings, footage.programs())
        extractor = models.extractors.extractor("gemini-2.5-flash")
        assert (await extractor.synthesize(synthesis_request())).failure is None
        await models.close()
    asked = gemini.asked[-1]["generationConfig"]
    assert asked["thinkingConfig"] == {"thinkingBudget": 0}
    assert asked["mediaResolution"] == "MEDIA_RESOLUTION_LOW"
    assert "fps=2 low thinking=0" in extractor.generation


async def test_an_endpoint_is_asked_as_the_settings_say() -> None:
    async with openai_served(SCHEMA) as endpoint:
        settings = Settings(
            openai_api_key="sk-stand-in-key-0123456789",
            openai_base_url=f"{endpoint.url}/",
            openai_prompt_characters=1200,
        )
        models = Models(settings, footage.programs())
        extractor = models.extractors.extractor("openai:any")
        extraction = await extractor.synthesize(synthesis_request(120))
        await models.close()
    assert extraction.failure is None
    assert len(endpoint.asked) > 3


def test_answers_are_reused_only_among_equal_settings() -> None:
    ffmpeg = footage.programs()
    made = [
        Models(Settings(gemini_api_key="k", gemini_fps=fps), ffmpeg).extractors.extractor(name)
        for fps, name in ((1.0, "gemini-2.5-pro"), (1.0, "gemini-2.5-pro"), (5.0, "gemini-2.5-pro"))
    ]
    first, same, other = (extractor.generation for extractor in made)
    assert first == same != other
