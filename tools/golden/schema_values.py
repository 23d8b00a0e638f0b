"""The schemas of single values, unions and lists: the second half of schema_cases.py."""

from golden.schema_parts import BOOLEAN, INTEGER, NULL, NUMBER, STRING, closed, listed, text

PATTERNS = [
    ("pattern_anchored", text(pattern="^[a-z]{3}[0-9]$"), ["abc1", "zzz9"], ["abc", "abc12", "Abc1"]),
    ("pattern_searched", text(pattern="b+c"), ["abbc", "bc", "xx bc yy"], ["ac", "b", ""]),
    ("pattern_prefix", text(pattern="^https?://"), ["http://a", "https://b/c?d=1"], ["ftp://a", " http://a"]),
    ("pattern_suffix", text(pattern="[.]py$"), ["a.py", ".py"], ["a.pyc", "a.p"]),
    ("pattern_alternatives", text(pattern="^(cat|dog|bird)s?$"), ["cat", "dogs", "bird"], ["fish", "catss"]),
    ("pattern_classes", text(pattern=r"^\d{2}-\w+\s?$"), ["12-ab_9", "00-x "], ["1-ab", "12-", "12ab"]),
    ("pattern_escapes", text(pattern=r'^"\\[/]\.$'), ['"\\/.'], ['"\\.', '"/.']),
    ("pattern_unicode", text(pattern="^[ä-ü]{2}€$"), ["äü€"], ["ab€", "ää"]),
    ("pattern_with_length", text(pattern="^[ab]+$", minLength=2, maxLength=4), ["ab", "abab"], ["a", "ababa", "abc"]),
    (
        "pattern_phone",
        text(pattern=r"^(\+[0-9]{1,3} )?[0-9]{3}-[0-9]{4}$"),
        ["555-1234", "+47 555-1234"],
        ["5551234", "+4755 555-1234"],
    ),
    (
        "pattern_properties",
        {"type": "object", "patternProperties": {"^n_": INTEGER, "^s_": STRING}, "additionalProperties": False},
        [{}, {"n_a": 1, "s_b": "x"}],
        [{"n_a": "x"}, {"x": 1}],
    ),
    (
        "pattern_property_and_named",
        {
            "type": "object",
            "properties": {"id": STRING},
            "required": ["id"],
            "patternProperties": {"^x-": NUMBER},
            "additionalProperties": False,
        },
        [{"id": "a"}, {"id": "a", "x-w": 1.5}],
        [{"id": "a", "x-w": "1"}, {"id": "a", "y": 1}],
    ),
    ("length_bounds", text(minLength=1, maxLength=5), ["a", "abcde", "äöüßé"], ["", "abcdef"]),
    ("length_exact_unicode", text(minLength=2, maxLength=2), ["ab", "日本", "😀a"], ["a", "abc", "😀"]),
    ("length_counts_escapes", text(maxLength=3), ['"\\\n', "\t\t\t"], ["\t\t\t\t"]),
]

FORMATS = [
    (
        "format_date",
        text(format="date"),
        ["2024-02-29", "1999-12-31", "2000-02-29"],
        ["2023-02-29", "2024-13-01", "1900-02-29", "2024-2-1"],
    ),
    (
        "format_time",
        text(format="time"),
        ["23:59:59Z", "00:00:00+02:00", "12:00:00.25Z"],
        ["24:00:00Z", "12:60:00Z", "12:00"],
    ),
    (
        "format_date_time",
        text(format="date-time"),
        ["2024-02-29T12:34:56Z", "1985-04-12T23:20:50.52+01:00"],
        ["2023-02-29T12:34:56Z", "2024-02-29 12:34", "2024-02-29"],
    ),
    ("format_email", text(format="email"), ["a@b.cd", "first.last+tag@example.org"], ["a", "a.b"]),
    ("format_ipv4", text(format="ipv4"), ["0.0.0.0", "192.168.1.255"], ["256.1.1.1", "1.2.3", "1.2.3.4.5"]),
    ("format_ipv6", text(format="ipv6"), ["::1", "2001:db8:0:0:0:0:2:1"], ["1::2::3", "12345::", "g::"]),
    (
        "format_uuid",
        text(format="uuid"),
        ["123e4567-e89b-12d3-a456-426614174000"],
        ["123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g"],
    ),
    ("format_hostname", closed({"h": text(format="hostname")}), [{"h": "example.org"}, {"h": "a-b.c"}], [{"h": 1}]),
    ("format_uri", closed({"u": text(format="uri")}), [{"u": "https://example.org/a?b=c#d"}], [{"u": 1}]),
    ("format_duration", closed({"d": text(format="duration")}), [{"d": "P3DT4H"}, {"d": "PT15M"}], [{"d": 1}]),
    (
        "format_and_pattern",
        text(format="date", pattern="^202"),
        ["2024-01-31", "2020-02-29"],
        ["1999-01-01", "2021-02-29"],
    ),
    (
        "format_int32",
        {"type": "integer", "format": "int32", "minimum": -2147483648, "maximum": 2147483647},
        [0, 2147483647, -2147483648],
        [2147483648, "0"],
    ),
]

UNIONS = [
    ("any_of_types", {"anyOf": [STRING, INTEGER, NULL]}, ["a", 1, None], [1.5, True, []]),
    ("type_list", {"type": ["string", "null"]}, ["a", None], [1, []]),
    ("type_list_bounds", {"type": ["integer", "string"], "minimum": 5, "minLength": 2}, [5, "ab"], [4, "a", None]),
    ("nullable_object", {"anyOf": [closed({"a": INTEGER}), NULL]}, [{"a": 1}, None], [{}, 1]),
    (
        "any_of_objects",
        {"anyOf": [closed({"a": INTEGER}), closed({"b": STRING})]},
        [{"a": 1}, {"b": "x"}],
        [{"a": 1, "b": "x"}, {}],
    ),
    (
        "any_of_overlapping",
        {"anyOf": [{"type": "integer", "maximum": 3}, {"type": "integer", "minimum": 7}]},
        [3, 7, -100, 100],
        [4, 6],
    ),
    ("one_of_types", {"oneOf": [STRING, NUMBER, listed(INTEGER)]}, ["a", 1.5, [1]], [True, None, ["a"]]),
    (
        "one_of_discriminated",
        {
            "oneOf": [
                closed({"type": {"const": "cat"}, "lives": INTEGER}),
                closed({"type": {"const": "dog"}, "barks": BOOLEAN}),
            ]
        },
        [{"type": "cat", "lives": 9}, {"type": "dog", "barks": True}],
        [{"type": "cat", "barks": True}, {"type": "fox", "lives": 9}],
    ),
    (
        "one_of_references",
        {
            "$defs": {
                "cat": closed({"kind": {"const": "cat"}, "name": STRING}),
                "dog": closed({"kind": {"const": "dog"}, "owner": {"$ref": "#/$defs/person"}}),
                "person": closed({"name": STRING}),
            },
            "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}],
            "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/$defs/cat", "dog": "#/$defs/dog"}},
        },
        [{"kind": "cat", "name": "Tom"}, {"kind": "dog", "owner": {"name": "Ann"}}],
        [{"kind": "cat", "owner": {"name": "Ann"}}],
    ),
    (
        "union_in_property",
        closed({"v": {"anyOf": [listed(STRING), closed({"x": NUMBER})]}}),
        [{"v": ["a"]}, {"v": {"x": 0.5}}],
        [{"v": "a"}, {"v": {"x": "a"}}],
    ),
    ("union_of_enums", {"anyOf": [{"enum": ["a", "b"]}, {"enum": [1, 2]}]}, ["a", 2], ["c", 3]),
    (
        "union_factored",
        closed({"k": STRING, "l": INTEGER}, [], anyOf=[{"required": ["k"]}, {"required": ["l"]}]),
        [{"k": "x"}, {"l": 1}, {"k": "x", "l": 1}],
        [{}, {"k": 1}],
    ),
    ("any_value", {}, [1, "a", None, True, [1, {"b": []}], {"a": 1.5}], []),
    ("any_in_property", closed({"payload": {}}), [{"payload": None}, {"payload": {"deep": [[]]}}], [{}]),
]

NUMBERS = [
    ("integer_bounds", {"type": "integer", "minimum": -5, "maximum": 12}, [-5, 0, 12], [-6, 13, 1.5]),
    ("integer_exclusive", {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10}, [1, 9], [0, 10]),
    (
        "integer_large",
        {"type": "integer", "minimum": 1000000, "maximum": 9999999999},
        [1000000, 9999999999],
        [999999, 10000000000],
    ),
    ("integer_multiple", {"type": "integer", "multipleOf": 7}, [0, 7, 49, -14], [1, 50]),
    ("integer_any", INTEGER, [0, -1, 123456789012345], [1.5, "1"]),
    ("number_any", NUMBER, [0, -1.5, 1e-7, 12345.678], ["1", None]),
    ("number_bounds", {"type": "number", "minimum": 0, "maximum": 1}, [0, 1, 0.5, 0.001], [-0.1, 1.1, 2]),
    ("number_exclusive", {"type": "number", "exclusiveMinimum": 0, "maximum": 2.5}, [0.1, 2.5, 2], [0, 2.6]),
    ("number_negative", {"type": "number", "maximum": -1.5}, [-1.5, -2, -100.25], [-1.4, 0]),
    ("number_cents", {"type": "number", "multipleOf": 0.25, "minimum": 0}, [0.25, 3.75], [0.3, -0.25]),
    (
        "draft4_exclusive",
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "integer",
            "minimum": 0,
            "exclusiveMinimum": True,
        },
        [1, 20],
        [0, -1],
    ),
]

LISTS = [
    (
        "list_bounds",
        listed(INTEGER, minItems=2, maxItems=4),
        [[1, 2], [1, 2, 3, 4]],
        [[1], [1, 2, 3, 4, 5], ["a", "b"]],
    ),
    ("list_exact", listed(BOOLEAN, minItems=3, maxItems=3), [[True, False, True]], [[True], [True, False, True, True]]),
    ("list_empty", {"type": "array", "maxItems": 0}, [[]], [[1]]),
    ("list_any", {"type": "array"}, [[], [1, "a", None]], [{}, "a"]),
    (
        "tuple_closed",
        {"type": "array", "prefixItems": [STRING, INTEGER], "items": False, "minItems": 2},
        [["a", 1]],
        [["a"], [1, "a"], ["a", 1, 2]],
    ),
    (
        "tuple_open",
        {"type": "array", "prefixItems": [STRING], "items": INTEGER},
        [[], ["a"], ["a", 1, 2]],
        [[1], ["a", "b"]],
    ),
    (
        "tuple_draft7",
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "array",
            "items": [INTEGER, STRING],
            "additionalItems": False,
            "minItems": 1,
        },
        [[1], [1, "a"]],
        [["a"], [1, "a", 2]],
    ),
    (
        "list_of_unions",
        listed({"anyOf": [INTEGER, listed(INTEGER)]}, minItems=1),
        [[1, [2, 3]], [[]]],
        [[], ["a"], [[[1]]]],
    ),
    (
        "matrix",
        listed(listed(NUMBER, minItems=2, maxItems=2), minItems=2, maxItems=2),
        [[[1, 0], [0, 1]]],
        [[[1, 0]], [[1], [2]]],
    ),
    (
        "list_of_strings_bounded",
        listed(text(minLength=1, maxLength=8), maxItems=3),
        [[], ["a", "bcdefgh"]],
        [[""], ["123456789"]],
    ),
    ("unique_not_asked", listed(INTEGER, uniqueItems=False), [[1, 1]], [["1"]]),
]

CASES = PATTERNS + FORMATS + UNIONS + NUMBERS + LISTS
