"""The schemas of text_schemas.py: name, schema, sound instances, unsound instances."""

from golden import schema_values
from golden.schema_parts import BOOLEAN, INTEGER, NULL, NUMBER, STRING, closed, listed, text

OBJECTS = [
    ("object_two", closed({"a": STRING, "b": INTEGER}), [{"a": "x", "b": 1}], [{"a": "x"}, {"a": 1, "b": 1}]),
    ("object_optional", closed({"a": STRING, "b": INTEGER}, ["a"]), [{"a": "x"}, {"a": "", "b": 0}], [{"b": 1}]),
    (
        "object_all_optional",
        closed({"a": BOOLEAN, "b": NULL, "c": NUMBER}, []),
        [{}, {"b": None}, {"a": True, "c": 1.5}],
        [{"d": 1}],
    ),
    ("object_empty", closed({}), [{}], [{"a": 1}]),
    (
        "object_open",
        {"type": "object", "properties": {"a": INTEGER}, "required": ["a"]},
        [{"a": 1}, {"a": 1, "z": [1, {}]}],
        [{}],
    ),
    (
        "object_map_of_integers",
        {"type": "object", "additionalProperties": INTEGER},
        [{}, {"k": 1, "l": -2}],
        [{"k": "1"}],
    ),
    (
        "object_typed_rest",
        {"type": "object", "properties": {"id": INTEGER}, "required": ["id"], "additionalProperties": STRING},
        [{"id": 3, "note": "n"}],
        [{"id": 3, "note": 4}],
    ),
    (
        "object_min_properties",
        {"type": "object", "additionalProperties": INTEGER, "minProperties": 1, "maxProperties": 3},
        [{"a": 1}, {"a": 1, "b": 2, "c": 3}],
        [{}, {"a": 1, "b": 2, "c": 3, "d": 4}],
    ),
    (
        "object_names_with_quotes",
        closed({'say "hi"': STRING, "back\\slash": INTEGER}),
        [{'say "hi"': "a", "back\\slash": 1}],
        [{"say hi": "a"}],
    ),
    (
        "object_unicode_names",
        closed({"größe": NUMBER, "名前": STRING}),
        [{"größe": 1.5, "名前": "太郎"}],
        [{"groesse": 1.5}],
    ),
    (
        "object_many",
        closed({f"field_{i:02}": INTEGER for i in range(20)}),
        [{f"field_{i:02}": i for i in range(20)}],
        [{"field_00": 1}],
    ),
    (
        "object_annotated",
        closed(
            {"a": {"type": "string", "title": "A", "description": "d", "default": "x", "examples": ["y"]}},
            title="T",
            description="D",
        ),
        [{"a": "z"}],
        [{"a": 1}],
    ),
    (
        "person",
        closed(
            {"name": STRING, "age": {"type": "integer", "minimum": 0, "maximum": 150}, "email": text(format="email")}
        ),
        [{"name": "Ada", "age": 36, "email": "ada@example.org"}],
        [{"name": "Ada", "age": 151, "email": "ada@example.org"}],
    ),
    (
        "weather_call",
        closed({"city": STRING, "unit": {"enum": ["celsius", "fahrenheit"]}}),
        [{"city": "Oslo", "unit": "celsius"}],
        [{"city": "Oslo", "unit": "kelvin"}],
    ),
]

ENUMS = [
    ("enum_strings", {"enum": ["red", "green", "blue"]}, ["red", "blue"], ["redd", "", 1]),
    ("enum_prefixes", {"enum": ["a", "ab", "abc"]}, ["a", "ab", "abc"], ["abcd", "b"]),
    ("enum_mixed", {"enum": [1, "1", True, None, 2.5]}, [1, "1", True, None, 2.5], [2, False, "2"]),
    ("enum_typed", {"type": "string", "enum": ["x", "y"]}, ["x"], ["z", 1]),
    ("enum_objects", {"enum": [{"a": 1}, {"b": [1, 2]}]}, [{"a": 1}, {"b": [1, 2]}], [{"a": 2}, {}]),
    ("enum_escapes", {"enum": ['a"b', "c\\d", "e\nf", "g/h", "ü"]}, ['a"b', "c\\d", "e\nf", "g/h", "ü"], ["ab", "e f"]),
    ("const_string", {"const": "fixed"}, ["fixed"], ["other", None]),
    ("const_number", {"const": -12.25}, [-12.25], [12.25, "-12.25"]),
    ("const_integer", {"const": 42}, [42], [43, 4]),
    ("const_list", {"const": [1, ["a"], {}]}, [[1, ["a"], {}]], [[1], [1, ["a"]]]),
    ("const_null", {"const": None}, [None], [0, False, ""]),
    ("enum_in_list", listed({"enum": ["n", "e", "s", "w"]}, minItems=1), [["n"], ["s", "s", "w"]], [[], ["x"]]),
]

NESTED = [
    (
        "nested_three",
        closed({"a": closed({"b": closed({"c": INTEGER})})}),
        [{"a": {"b": {"c": 7}}}],
        [{"a": {"b": {}}}, {"a": {}}],
    ),
    ("nested_lists", listed(listed(listed(INTEGER))), [[], [[]], [[[1, 2], []], [[3]]]], [[1], [[1]], [[["1"]]]]),
    (
        "list_of_objects",
        listed(closed({"k": STRING, "v": NUMBER}), minItems=1, maxItems=3),
        [[{"k": "a", "v": 1}], [{"k": "a", "v": 1}, {"k": "b", "v": -0.5}]],
        [[], [{"k": "a"}]],
    ),
    (
        "object_of_lists",
        closed({"xs": listed(INTEGER), "ys": listed(STRING)}),
        [{"xs": [], "ys": []}, {"xs": [1], "ys": ["a", "b"]}],
        [{"xs": ["a"], "ys": []}],
    ),
    (
        "invoice",
        closed(
            {
                "id": text(pattern="^INV-[0-9]{4}$"),
                "lines": listed(
                    closed({"item": STRING, "count": {"type": "integer", "minimum": 1}, "price": NUMBER}), minItems=1
                ),
                "paid": BOOLEAN,
            }
        ),
        [{"id": "INV-0042", "lines": [{"item": "pen", "count": 2, "price": 1.25}], "paid": False}],
        [
            {"id": "INV-42", "lines": [{"item": "pen", "count": 2, "price": 1.25}], "paid": False},
            {"id": "INV-0042", "lines": [], "paid": True},
        ],
    ),
    (
        "address_reference",
        {
            "$defs": {"address": closed({"street": STRING, "zip": text(pattern="^[0-9]{5}$")})},
            **closed({"home": {"$ref": "#/$defs/address"}, "work": {"$ref": "#/$defs/address"}}, ["home"]),
        },
        [
            {"home": {"street": "S", "zip": "12345"}},
            {"home": {"street": "S", "zip": "12345"}, "work": {"street": "", "zip": "00000"}},
        ],
        [{"home": {"street": "S", "zip": "1234"}}],
    ),
    (
        "definitions_escaped",
        {
            "definitions": {"a/b": INTEGER, "c~d": STRING, "e f": BOOLEAN},
            **closed(
                {
                    "x": {"$ref": "#/definitions/a~1b"},
                    "y": {"$ref": "#/definitions/c~0d"},
                    "z": {"$ref": "#/definitions/e%20f"},
                }
            ),
        },
        [{"x": 1, "y": "s", "z": True}],
        [{"x": "1", "y": "s", "z": True}],
    ),
    (
        "reference_to_property",
        closed({"a": closed({"n": INTEGER}), "b": {"$ref": "#/properties/a"}}),
        [{"a": {"n": 1}, "b": {"n": 2}}],
        [{"a": {"n": 1}, "b": {}}],
    ),
    (
        "reference_with_sibling",
        {"$defs": {"n": {"type": "integer", "minimum": 0}}, **closed({"n": {"$ref": "#/$defs/n", "maximum": 9}})},
        [{"n": 0}, {"n": 9}],
        [{"n": 10}, {"n": -1}],
    ),
    (
        "all_of_objects",
        {
            "allOf": [
                {"type": "object", "properties": {"a": INTEGER}, "required": ["a"]},
                {"type": "object", "properties": {"b": STRING}, "required": ["b"]},
            ]
        },
        [{"a": 1, "b": "x"}],
        [{"a": 1}, {"b": "x"}, {"a": "1", "b": "x"}],
    ),
    ("all_of_bounds", {"type": "integer", "allOf": [{"minimum": 3}, {"maximum": 8}]}, [3, 8], [2, 9]),
    (
        "drawing",
        closed(
            {
                "shapes": listed(
                    {
                        "anyOf": [
                            closed({"kind": {"const": "dot"}, "at": listed(INTEGER, minItems=2, maxItems=2)}),
                            closed({"kind": {"const": "text"}, "text": STRING}),
                        ]
                    }
                )
            }
        ),
        [{"shapes": [{"kind": "dot", "at": [1, 2]}, {"kind": "text", "text": "hi"}]}, {"shapes": []}],
        [{"shapes": [{"kind": "dot", "text": "hi"}]}],
    ),
]

RECURSIVE = [
    (
        "linked_list",
        {
            "$defs": {"node": closed({"value": INTEGER, "next": {"anyOf": [{"$ref": "#/$defs/node"}, NULL]}})},
            "$ref": "#/$defs/node",
        },
        [{"value": 1, "next": None}, {"value": 1, "next": {"value": 2, "next": None}}],
        [{"value": 1}, {"value": 1, "next": {}}],
    ),
    (
        "tree",
        closed({"name": STRING, "children": listed({"$ref": "#"})}),
        [
            {"name": "a", "children": []},
            {"name": "a", "children": [{"name": "b", "children": [{"name": "c", "children": []}]}]},
        ],
        [{"name": "a", "children": [{"name": "b"}]}],
    ),
    (
        "optional_self",
        closed({"v": BOOLEAN, "self": {"$ref": "#"}}, ["v"]),
        [{"v": True}, {"v": True, "self": {"v": False}}],
        [{"v": True, "self": {}}],
    ),
    (
        "expression",
        {
            "$defs": {
                "e": {
                    "anyOf": [
                        NUMBER,
                        closed({"op": {"enum": ["+", "*"]}, "args": listed({"$ref": "#/$defs/e"}, minItems=2)}),
                    ]
                }
            },
            "$ref": "#/$defs/e",
        },
        [1.5, {"op": "+", "args": [1, {"op": "*", "args": [2, 3]}]}],
        [{"op": "-", "args": [1, 2]}, {"op": "+", "args": [1]}],
    ),
    (
        "mutual",
        {
            "$defs": {"a": closed({"b": {"$ref": "#/$defs/b"}}, []), "b": closed({"a": {"$ref": "#/$defs/a"}}, [])},
            "$ref": "#/$defs/a",
        },
        [{}, {"b": {}}, {"b": {"a": {"b": {}}}}],
        [{"a": {}}, {"b": {"b": {}}}],
    ),
    (
        "nested_json",
        {
            "$defs": {
                "j": {
                    "anyOf": [
                        STRING,
                        listed({"$ref": "#/$defs/j"}),
                        {"type": "object", "additionalProperties": {"$ref": "#/$defs/j"}},
                    ]
                }
            },
            "$ref": "#/$defs/j",
        },
        ["s", ["a", ["b"]], {"k": {"l": ["m"]}}],
        [1, ["a", 1], {"k": None}],
    ),
    (
        "menu",
        {
            "$defs": {
                "item": closed({"label": STRING, "items": listed({"$ref": "#/$defs/item"}, maxItems=4)}, ["label"])
            },
            **closed({"menu": listed({"$ref": "#/$defs/item"})}),
        },
        [{"menu": [{"label": "File", "items": [{"label": "Open"}]}, {"label": "Edit"}]}],
        [{"menu": [{"items": []}]}],
    ),
    (
        "recursive_tuple",
        {
            "$defs": {
                "p": {
                    "anyOf": [
                        NULL,
                        {
                            "type": "array",
                            "prefixItems": [INTEGER, {"$ref": "#/$defs/p"}],
                            "minItems": 2,
                            "items": False,
                        },
                    ]
                }
            },
            "$ref": "#/$defs/p",
        },
        [None, [1, None], [1, [2, [3, None]]]],
        [[1], [1, 2], [None, 1]],
    ),
]

CASES = OBJECTS + ENUMS + NESTED + RECURSIVE + schema_values.CASES
