"""Media on disk and through ffmpeg."""
