"""Contact sheets: a picture a segment, with its times, on one page to judge cuts by eye."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from promptreel_server.media.frames.stills import Still

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 240, 135
CAPTION_HEIGHT = 18
MARGIN = 4
MOST_COLUMNS = 6
PAPER, INK, EMPTY = (24, 24, 24), (230, 230, 230), (60, 60, 60)


def contact_sheet(pictures: Sequence[tuple[str, Still | None]]) -> Image.Image:
    """Lay out pictures (a caption and a frame each; None where there is none) in rows."""
    columns = min(MOST_COLUMNS, max(1, len(pictures)))
    rows = max(1, -(-len(pictures) // columns))
    cell_width, cell_height = THUMBNAIL_WIDTH + MARGIN, THUMBNAIL_HEIGHT + CAPTION_HEIGHT + MARGIN
    sheet = Image.new("RGB", (columns * cell_width + MARGIN, rows * cell_height + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for index, (caption, still) in enumerate(pictures):
        left = MARGIN + index % columns * cell_width
        top = MARGIN + index // columns * cell_height
        sheet.paste(_thumbnail(still), (left, top))
        draw.text((left, top + THUMBNAIL_HEIGHT + 1), caption, fill=INK, font=font)
    return sheet


def _thumbnail(still: Still | None) -> Image.Image:
    """The frame, as large as fits, in the middle of a cell."""
    cell = Image.new("RGB", (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT), EMPTY)
    if still is not None:
        picture = Image.fromarray(still.pixels)
        picture.thumbnail((THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT))
        cell.paste(
            picture,
            ((THUMBNAIL_WIDTH - picture.width) // 2, (THUMBNAIL_HEIGHT - picture.height) // 2),
        )
    return cell
