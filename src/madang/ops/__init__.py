"""Functions on tensors, without state: packing, attention, masks, rotary positions, losses, activations, devices."""
