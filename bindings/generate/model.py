"""What include/voxfeed.h declares, as tables for the generators of other languages' low levels."""

import collections
import os
import re
import subprocess

from pycparser import c_ast, c_generator, c_parser

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "include", "voxfeed.h")

# The parser knows no compiler's extensions, so the standard headers are replaced by what they promise.
STANDARD = {
    "stddef.h": "typedef unsigned long size_t;",
    "stdint.h": "\n".join(
        "typedef {0} int{1}_t; typedef unsigned {0} uint{1}_t;".format(name, bits)
        for name, bits in [("char", 8), ("short", 16), ("int", 32), ("long", 64)]
    ),
}

# A type is C's, as text without spaces around its stars: "uint32_t", "const char*", "vxf_loader**".
Parameter = collections.namedtuple("Parameter", "name type")
Function = collections.namedtuple("Function", "name result parameters")
# `count` is the length of an array in the struct, None where it is none.
Field = collections.namedtuple("Field", "name type count")
Struct = collections.namedtuple("Struct", "name fields")
# `values` are (name, number) with the whole name, "VXF_DTYPE_F32".
Enum = collections.namedtuple("Enum", "name values")
Callback = collections.namedtuple("Callback", "name result parameters")

# `handles` are the opaque types; `constants` the numbers that belong to no enumeration.
Header = collections.namedtuple("Header", "functions structs enums callbacks handles constants")


def preprocessed(header=HEADER):
    """The header as a compiler's first pass leaves it, with no compiler's own types in it."""
    lines = []
    with open(header) as text:
        for line in text:
            name = line.strip()[len("#include <") : -1]
            lines.append(STANDARD[name] if line.startswith("#include <") else line.rstrip("\n"))
    command = ["gcc", "-E", "-P", "-std=c99", "-x", "c", "-"]
    return subprocess.run(command, input="\n".join(lines), stdout=subprocess.PIPE, universal_newlines=True,
                          check=True).stdout


def tree(header=HEADER):
    return c_parser.CParser().parse(preprocessed(header))



def _parameters(declared):
    given = declared.args.params if declared.args else []
    return [Parameter(one.name, _anonymous(one.type)) for one in given if isinstance(one, c_ast.Decl)]


def _anonymous(node):
    """The type of a declaration without its name."""
    while isinstance(node, c_ast.PtrDecl):
        return _anonymous(node.type) + "*" + ("const" if "const" in node.quals else "")
    names = node.type.names if isinstance(node.type, c_ast.IdentifierType) else ["struct", node.type.name]
    return " ".join(list(node.quals) + names)


def _field(one):
    if isinstance(one.type, c_ast.ArrayDecl):
        return Field(one.name, _anonymous(one.type.type), int(one.type.dim.value))
    return Field(one.name, _anonymous(one.type), None)


def read(header=HEADER):
    """All that the header declares, in its order."""
    functions, structs, enums, callbacks, handles = [], [], [], [], []
    with open(header) as text:
        numbers = re.findall(r"^#define (VXF_\w+) \(?(-?\d+)\)?$", text.read(), re.MULTILINE)
    for one in tree(header).ext:
        if isinstance(one, c_ast.Decl) and isinstance(one.type, c_ast.FuncDecl):
            functions.append(Function(one.name, _anonymous(one.type.type), _parameters(one.type)))
        elif not isinstance(one, c_ast.Typedef) or not one.name.startswith("vxf_"):
            continue
        elif isinstance(one.type, c_ast.PtrDecl) and isinstance(one.type.type, c_ast.FuncDecl):
            call = one.type.type
            callbacks.append(Callback(one.name, _anonymous(call.type), _parameters(call)))
        elif isinstance(one.type, c_ast.TypeDecl) and isinstance(one.type.type, c_ast.Struct):
            fields = one.type.type.decls
            if fields:
                structs.append(Struct(one.name, [_field(field) for field in fields]))
            else:
                handles.append(one.name)
        elif _anonymous(one.type) == "int32_t":
            enums.append(Enum(one.name, []))
    constants = []
    # The longest name that fits: VXF_SEEK_INDEX_AUTO is vxf_seek_index's.
    by_length = sorted(enums, key=lambda enum: -len(enum.name))
    for name, number in numbers:
        owner = next((enum for enum in by_length if name.startswith(enum.name.upper() + "_")), None)
        (owner.values if owner else constants).append((name, int(number)))
    return Header(functions, structs, enums, callbacks, handles, constants)
