"""A gRPC server over HTTP/2, as one asyncio protocol. It knows calls and bytes, and nothing of what they are about.

listener ─▶ connection ─▶ calls ─▶ exchange ─▶ a handler
                │   in:   reader, head (header_decoder, huffman), inbox, allowance
                │   out:  outflow, replies
                └   upkeep: what happens because time goes by
"""
