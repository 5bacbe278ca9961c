"""A body of two: an encoder that reads a text and a decoder that produces another while looking at it."""

# B batch  S source tokens  T target tokens  E hidden
from torch import Tensor, nn

from madang.blocks.context import Cache, Memory, States
from madang.bodies.text import TextBody
from madang.errors import InputError


class EncoderDecoder(nn.Module):
    """Two text bodies; the decoder's blocks attend to the encoder's tokens. T5, BART."""

    pooler = None
    causal = True

    def __init__(self, encoder: TextBody, decoder: TextBody, *, start: int | None) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.start = start
        self.longest = encoder.longest

    input_names = (
        "input_ids",
        "attention_mask",
        "decoder_input_ids",
        "decoder_attention_mask",
        "encoder_outputs",
        "past_key_values",
        "inputs_embeds",
        "decoder_inputs_embeds",
        "use_cache",
    )

    @property
    def embed(self) -> nn.Module:
        """The embedding of the source tokens."""
        return self.encoder.embed

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: States | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        use_cache: bool = False,
        record: tuple[str, ...] = (),
        plain: bool = False,
    ) -> States:
        """Source ids (B, S) and target ids (B, T) -> States of the target tokens, with those of the source inside.

        `encoder_outputs` are the States of an earlier call for the same source, which is then not read again.
        """
        if decoder_input_ids is None and decoder_inputs_embeds is None:
            raise InputError("an encoder-decoder also needs decoder_input_ids (or labels, from which they are made).")
        if encoder_outputs is None:
            encoder_outputs = self.encoder(
                input_ids, attention_mask, inputs_embeds=inputs_embeds, record=record, plain=plain
            )
        if "attentions" in record:
            record = (*record, "cross_attentions")
        states: States = self.decoder(
            decoder_input_ids,
            decoder_attention_mask,
            inputs_embeds=decoder_inputs_embeds,
            past_key_values=past_key_values,
            use_cache=use_cache,
            memory=Memory(encoder_outputs.tokens, encoder_outputs.layout),
            record=record,
            plain=plain,
        )
        states.encoder = encoder_outputs
        return states
