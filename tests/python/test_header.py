"""A strict parser of C, like those of MATLAB's loadlibrary and of other languages' generators, reads the header."""

import os
import re
import sys
import unittest

from pycparser import c_ast

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bindings", "generate"))

import model  # noqa: E402


class HeaderTest(unittest.TestCase):
    def setUp(self):
        self.tree = model.tree()

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

    def test_the_tables_for_other_languages_have_everything(self):
        header = model.read()
        self.assertEqual([one.name for one in header.functions], [one.name for one in self.functions()])
        typedefs = [one.name for one in self.tree.ext if isinstance(one, c_ast.Typedef) and one.name[:4] == "vxf_"]
        tables = (header.structs, header.enums, header.callbacks)
        found = [one.name for table in tables for one in table] + header.handles + ["vxf_stream"]
        self.assertEqual(sorted(found), sorted(typedefs))
        with open(model.HEADER) as text:
            defined = re.findall(r"^#define (VXF_\w+)", text.read(), re.MULTILINE)
        words = [name for enum in header.enums for name, _ in enum.values]
        self.assertEqual(sorted(words + [name for name, _ in header.constants]), sorted(set(defined)))
        self.assertTrue(all(enum.values for enum in header.enums))


if __name__ == "__main__":
    unittest.main()
