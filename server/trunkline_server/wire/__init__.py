"""How bytes are spelled: one module per provider dialect. Pure: bytes in, values out."""
