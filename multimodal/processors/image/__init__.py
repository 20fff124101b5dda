"""Images: pictures in, arrays of pixels out."""
