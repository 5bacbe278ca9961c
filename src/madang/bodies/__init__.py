"""Whole networks made from parts: tokens or patches in, hidden states out."""

from madang.bodies.encoder_decoder import EncoderDecoder
from madang.bodies.image import ImageBody
from madang.bodies.text import TextBody

__all__ = ["EncoderDecoder", "ImageBody", "TextBody"]
