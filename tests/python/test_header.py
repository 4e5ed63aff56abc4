"""A strict parser of C, like those of MATLAB's loadlibrary and of other languages' generators, reads the header."""

import os
import subprocess
import unittest

from pycparser import c_ast, c_parser

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "include", "voxfeed.h")

# The parser knows no compiler's extensions, so the standard headers are replaced by what they promise.
STANDARD = {
    "stddef.h": "typedef unsigned long size_t;",
    "stdint.h": "\n".join(
        "typedef {0} int{1}_t; typedef unsigned {0} uint{1}_t;".format(name, bits)
        for name, bits in [("char", 8), ("short", 16), ("int", 32), ("long", 64)]
    ),
}


def preprocessed():
    lines = []
    with open(HEADER) as header:
        for line in header:
            name = line.strip()[len("#include <") : -1]
            lines.append(STANDARD[name] if line.startswith("#include <") else line.rstrip("\n"))
    command = ["gcc", "-E", "-P", "-std=c99", "-x", "c", "-"]
    result = subprocess.run(command, input="\n".join(lines), stdout=subprocess.PIPE, universal_newlines=True, check=True)
    return result.stdout


class HeaderTest(unittest.TestCase):
    def setUp(self):
        self.text = preprocessed()
        self.tree = c_parser.CParser().parse(self.text)

    def functions(self):
        return [one for one in self.tree.ext if isinstance(one, c_ast.Decl) and isinstance(one.type, c_ast.FuncDecl)]

    def test_every_function_is_found(self):
        names = [function.name for function in self.functions()]
        self.assertEqual(len(names), len(set(names)))
        self.assertGreater(len(names), 50)
        self.assertTrue(all(name.startswith("vxf_") for name in names))

    def test_no_name_is_declared_twice_and_nothing_but_typedefs_and_functions_is_declared(self):
        known = set()
        for one in self.tree.ext:
            self.assertIsInstance(one, (c_ast.Typedef, c_ast.Decl))
            # Only DLPack's structs, which are its own header's, are announced without a typedef.
            name = "struct " + one.type.name if isinstance(one.type, c_ast.Struct) else one.name
            self.assertNotIn(name, known)
            known.add(name)
        announced = set(name for name in known if name.startswith("struct "))
        self.assertEqual(announced, {"struct DLManagedTensor", "struct DLManagedTensorVersioned"})

    def test_every_parameter_has_a_name(self):
        for function in self.functions():
            for parameter in function.type.args.params:
                if not isinstance(parameter, c_ast.Typename):
                    self.assertTrue(parameter.name, function.name)
                else:
                    self.assertEqual(parameter.type.type.names, ["void"], function.name)

    def test_structs_have_no_bit_fields_and_nothing_unnamed(self):
        class Fields(c_ast.NodeVisitor):
            seen = 0

            def visit_Struct(visitor, node):
                for field in node.decls or []:
                    self.assertIsNone(field.bitsize)
                    self.assertTrue(field.name)
                    visitor.seen += 1

            def visit_Union(visitor, node):
                self.fail("a union")

            def visit_Enum(visitor, node):
                self.fail("an enum, whose size the standard leaves open")

        fields = Fields()
        fields.visit(self.tree)
        self.assertGreater(fields.seen, 50)


if __name__ == "__main__":
    unittest.main()
