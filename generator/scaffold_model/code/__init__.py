"""Source-editing primitives that know nothing of diffusers: text and a position in, text out."""
