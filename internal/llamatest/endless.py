"""Makes a copy of Ember go on where it would end: the tokens that end a turn or a text become markers without weights,
which are then never likely, and the end of a turn is said to be a marker that it never writes."""

import pathlib
import struct
import sys

UNUSED = b"</tool_response>"
ENDS = [b"<|im_end|>", b"<|endoftext|>"]
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # of GGUF's types of values
TEXT, ARRAY = 8, 9
ALIGNMENT = 32
BLOCK, BLOCK_VALUES = 34, 32  # bytes and values of a block of Q8_0

path = pathlib.Path(sys.argv[1])
data = bytearray(path.read_bytes())
at = 8


def number(form):
    global at
    value, = struct.unpack_from("<" + form, data, at)
    at += struct.calcsize(form)
    return value


def text():
    global at
    size = number("Q")
    at += size
    return bytes(data[at - size:at])


def value(kind):
    """Reads past a value; of texts and their arrays, returns them."""
    global at
    if kind == TEXT:
        return text()
    if kind == ARRAY:
        kind, count = number("I"), number("Q")
        return [value(kind) for _ in range(count)]
    at += SIZES[kind]


tensors, pairs = number("Q"), number("Q")
for _ in range(pairs):
    key, kind = text(), number("I")
    start, got = at, value(kind)
    if key == b"tokenizer.ggml.tokens":
        tokens = got
    if key == b"tokenizer.ggml.eos_token_id":
        eos = start
for _ in range(tensors):
    name, dims = text(), [number("Q") for _ in range(number("I"))]
    kind, offset = number("I"), number("Q")
    if name == b"token_embd.weight":
        row, embeddings = dims[0] // BLOCK_VALUES * BLOCK, offset
embeddings += (at + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT

struct.pack_into("<I", data, eos, tokens.index(UNUSED))
for end in ENDS:
    first = embeddings + tokens.index(end) * row
    data[first:first + row] = bytes(row)
    data = data.replace(end, end[:-3] + end[-3:-2].upper() + end[-2:])  # of the same length; nobody takes it for an end
path.write_bytes(data)
