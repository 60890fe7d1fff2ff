#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Texts of over 200 JSON schemas, regular expressions and grammars, sampled hot from models/pebble: each parses and is valid,
by a validator of our own and by the package jsonschema where that is installed. Schemas come from a list of what is met in
practice and from a generator with a seed. What cannot be satisfied or never ends is refused before anything is generated."""
import datetime
import ipaddress
import json
import random
import re
import subprocess
import sys
import uuid

olivine, root = sys.argv[1:3]
try:
    import jsonschema
except ImportError:
    jsonschema = None

# ---- a validator for the keywords that are used here ----------------------------------------------------


def is_date(t):
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", t) and datetime.date.fromisoformat(t))


def is_date_time(t):
    m = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", t)
    return bool(m and is_date(m[1]) and int(m[2]) < 24 and int(m[3]) < 60 and int(m[4]) < 60)


FORMATS = {
    "date": is_date, "date-time": is_date_time, "uuid": lambda t: str(uuid.UUID(t)) == t,
    "ipv4": lambda t: bool(ipaddress.IPv4Address(t)) or True, "ipv6": lambda t: bool(ipaddress.IPv6Address(t)) or True,
    "time": lambda t: is_date_time("2000-01-01T" + t), "email": lambda t: re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", t),
    "uri": lambda t: re.fullmatch(r"https?://[^\s]+", t), "hostname": lambda t: re.fullmatch(r"[a-z0-9.-]+", t),
    "duration": lambda t: re.fullmatch(r"P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?", t),
}


def number(v):
    return isinstance(v, (int, float)) and not isinstance(v, bool)


TYPES = {"object": lambda v: isinstance(v, dict), "array": lambda v: isinstance(v, list), "string": lambda v: isinstance(v, str),
         "number": number, "integer": lambda v: number(v) and v == int(v), "boolean": lambda v: isinstance(v, bool),
         "null": lambda v: v is None}


def equal(a, b):
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def valid(v, s, top):
    if isinstance(s, bool):
        return s
    if "$ref" in s:
        at = top
        for part in s["$ref"].split("/")[1:]:
            at = at[int(part)] if isinstance(at, list) else at[part.replace("~1", "/").replace("~0", "~")]
        return valid(v, at, top)
    t = s.get("type")
    if t and not any(TYPES[x](v) for x in ([t] if isinstance(t, str) else t)):
        return False
    if "enum" in s and not any(equal(v, e) for e in s["enum"]) or "const" in s and not equal(v, s["const"]):
        return False
    if "anyOf" in s and not any(valid(v, x, top) for x in s["anyOf"]) or "allOf" in s and not all(valid(v, x, top) for x in s["allOf"]):
        return False
    if isinstance(v, str):
        if not s.get("minLength", 0) <= len(v) <= s.get("maxLength", 10 ** 9) or "pattern" in s and not re.search(s["pattern"], v):
            return False
        return not ("format" in s and not FORMATS[s["format"]](v))
    if number(v):
        inf = float("inf")
        return s.get("minimum", -inf) <= v <= s.get("maximum", inf) and s.get("exclusiveMinimum", -inf) < v < s.get("exclusiveMaximum", inf)
    if isinstance(v, list):
        prefix, rest = s.get("prefixItems", []), s.get("items", True)
        return (s.get("minItems", 0) <= len(v) <= s.get("maxItems", 10 ** 9) and all(valid(x, p, top) for x, p in zip(v, prefix)) and
                all(valid(x, rest, top) for x in v[len(prefix):]))
    if isinstance(v, dict):
        props, more = s.get("properties", {}), s.get("additionalProperties", True)
        return all(k in v for k in s.get("required", [])) and all(valid(x, props.get(k, more), top) for k, x in v.items())
    return True


# ---- schemas -------------------------------------------------------------------------------------------


def obj(required=None, **props):
    return {"type": "object", "properties": props, "required": list(props) if required is None else required,
            "additionalProperties": False}


def text(most=12, **more):
    return {"type": "string", "maxLength": most, **more}


I = {"type": "integer", "minimum": 0, "maximum": 999}
NODE = {"$defs": {"node": obj(["value"], value=I, left={"$ref": "#/$defs/node"}, right={"$ref": "#/$defs/node"})},
        "$ref": "#/$defs/node"}
HAND = [
    obj(name=text(20), age={"type": "integer", "minimum": 0, "maximum": 130}, email={"type": "string", "format": "email"}),
    obj(["city"], city=text(), unit={"enum": ["celsius", "fahrenheit"]}, days={"type": "integer", "minimum": 1, "maximum": 14}),
    {"anyOf": [obj(tool={"const": "search"}, query=text()), obj(tool={"const": "open"}, page=I), obj(tool={"const": "stop"})]},
    {"type": "array", "items": {"type": "array", "items": {"type": "number", "minimum": -1, "maximum": 1}, "minItems": 2,
                                "maxItems": 2}, "minItems": 1, "maxItems": 3},
    NODE, {"$defs": {"list": {"anyOf": [{"type": "null"}, obj(head=I, tail={"$ref": "#/$defs/list"})]}}, "$ref": "#/$defs/list"},
    {"$defs": {"e": {"anyOf": [I, {"type": "array", "items": {"$ref": "#/$defs/e"}, "maxItems": 2}]}}, "$ref": "#/$defs/e"},
    {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2}, "n": I}, "required": ["n"],
     "additionalProperties": False},
    obj(when={"type": "string", "format": "date-time"}, level={"enum": ["debug", "info", "error"]}, text=text(40)),
    obj(id={"type": "string", "format": "uuid"}, ip={"type": "string", "format": "ipv4"}, day={"type": "string", "format": "date"}),
    obj(at={"type": "string", "format": "time"}, six={"type": "string", "format": "ipv6"}, took={"type": "string", "format": "duration"}),
    {"type": "string", "format": "uri"}, {"type": "string", "format": "hostname"},
    obj(zip={"type": "string", "pattern": "^[0-9]{5}(-[0-9]{4})?$"}, sku={"type": "string", "pattern": "^[A-Z]{2}-\\d{3,6}$"}),
    {"type": "string", "pattern": "^(\\([0-9]{3}\\))?[0-9]{3}-[0-9]{4}$"}, {"type": "string", "pattern": "^[a-f]{1,4}\\.(png|jpg)$"},
    {"type": "string", "pattern": "^\"[^\"\\\\]{0,8}\"$"}, {"type": "string", "pattern": "^[\\w .-]{1,12}$"},
    {"type": "object", "properties": {"a": I}, "required": ["a"], "additionalProperties": {"type": "boolean"}},
    obj([], a=I, b=I, c=I, d=I, e=I), obj(["c"], a=I, b=I, c=I, d=I), obj(), {"type": "array", "maxItems": 0},
    {"enum": ["a", "b", 1, 2.5, None, True, [1, 2], {"k": "v"}]}, {"const": {"deep": [1, {"er": "x\"y\\z\n"}]}}, {"const": 0},
    {"enum": ["\u00e4\u00f6", "\u4e2d\u6587", "\U0001f600", "\t\"quoted\"\\"]}, {"enum": ["abc", "ab", "a", ""]},
    {"type": ["string", "null"], "maxLength": 5}, {"type": ["integer", "boolean"]}, {"type": "boolean"}, {"type": "null"},
    {"type": "integer"}, {"type": "number"}, {"type": "integer", "minimum": -5, "maximum": 5},
    {"type": "integer", "exclusiveMinimum": 98, "exclusiveMaximum": 101}, {"type": "integer", "minimum": 1990, "maximum": 2030},
    {"type": "number", "minimum": 0, "maximum": 1}, {"type": "number", "exclusiveMinimum": 0, "maximum": 0.25},
    {"type": "number", "minimum": -273.15, "maximum": -2.5}, {"type": "integer", "maximum": -1, "minimum": -1000000},
    {"type": "array", "prefixItems": [I, text(4), {"type": "boolean"}], "items": False, "minItems": 3},
    {"type": "array", "prefixItems": [I], "items": text(3), "minItems": 2, "maxItems": 4},
    {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 5, "maxItems": 5},
    {"type": "string", "minLength": 3, "maxLength": 3}, {"type": "string", "minLength": 30, "maxLength": 40}, {"type": "string", "maxLength": 0},
    {"allOf": [{"$ref": "#/$defs/p"}], "$defs": {"p": obj(x=I)}}, {"allOf": [obj(a=I) | {"additionalProperties": True}, {"required": ["a"]}]},
    {"$defs": {"a/b": I, "c~d": text(3)}, **obj(one={"$ref": "#/$defs/a~1b"}, two={"$ref": "#/$defs/c~0d"})},
    {"title": "T", "description": "d", "$schema": "https://json-schema.org/draft/2020-12/schema", **obj(x={"type": "integer", "default": 3,
     "description": "n", "minimum": 1, "maximum": 3})},
    obj(**{"with space": I, "quo\"te": I, "\u00fcml": I, "": I}),
    obj(user=obj(name=text(8), roles={"type": "array", "items": {"enum": ["admin", "dev"]}, "minItems": 1, "maxItems": 3}),
        meta=obj([], tags={"type": "array", "items": text(4), "maxItems": 3}, score={"type": "number", "minimum": 0, "maximum": 10})),
    obj(steps={"type": "array", "items": obj(explanation=text(20), output=text(10)), "minItems": 1, "maxItems": 3}, answer=text(8)),
    {"type": "array", "items": {"anyOf": [obj(kind={"const": "circle"}, r=I), obj(kind={"const": "box"}, w=I, h=I)]}, "minItems": 1, "maxItems": 3},
]


def schema_of(rng, depth):
    """A random schema whose texts are short."""
    kinds = ["string", "integer", "number", "enum", "const", "pattern", "format", "boolean", "types", "null"]
    if depth > 0:
        kinds += ["object", "object", "object", "array", "array", "anyOf", "tuple"]
    kind = rng.choice(kinds)
    if kind == "string":
        low = rng.randrange(4)
        return {"type": "string", "minLength": low, "maxLength": low + rng.randrange(9)}
    if kind in ("integer", "number"):
        a = rng.randrange(-2000, 2000) / (1 if kind == "integer" else rng.choice([1, 4, 8]))
        a = int(a) if kind == "integer" else a
        b = a + rng.choice([0, 1, 9, 10, 99, 12345])
        return {"type": kind, rng.choice(["minimum", "exclusiveMinimum"]): a - 1, rng.choice(["maximum", "exclusiveMaximum"]): b + 1}
    if kind == "enum":
        return {"enum": rng.sample(["red", "re", "green", 1, 12, 3.5, None, False, [], {"a": 1}, "x y", "\u00e9"], rng.randrange(1, 6))}
    if kind == "const":
        return {"const": rng.choice(["v1", 7, None, True, [1, [2]], {"k": {"l": "m"}}])}
    if kind == "pattern":
        return {"type": "string", "pattern": rng.choice(["^[a-z]{2,6}$", "^\\d{1,3}(\\.\\d{1,2})?$", "^(on|off|auto)$", "^[A-Z][a-z]{0,5}( [A-Z]\\.)?$",
                                                         "^#[0-9a-f]{6}$", "^v\\d+\\.\\d{1,2}$", "^[^a-z\\s]{1,5}$", "^(ab|ba){1,3}$"])}
    if kind == "format":
        return {"type": "string", "format": rng.choice(["date", "date-time", "uuid", "ipv4", "time", "duration"])}
    if kind == "types":
        return {"type": rng.sample(["integer", "boolean", "null"], 2)}
    if kind == "array":
        low = rng.randrange(3)
        return {"type": "array", "items": schema_of(rng, depth - 1), "minItems": low, "maxItems": low + rng.randrange(3)}
    if kind == "tuple":
        n = rng.randrange(1, 4)
        return {"type": "array", "prefixItems": [schema_of(rng, depth - 1) for _ in range(n)], "items": False, "minItems": rng.randrange(n + 1)}
    if kind == "anyOf":
        return {"anyOf": [schema_of(rng, depth - 1) for _ in range(rng.randrange(2, 4))]}
    if kind == "object":
        names = rng.sample(["id", "name", "na", "size", "x", "y", "list", "nested value", "\u00df"], rng.randrange(1, 5))
        s = obj([n for n in names if rng.random() < 0.6], **{n: schema_of(rng, depth - 1) for n in names})
        return s
    return {"type": kind}


REGEXES = [
    r"\d{4}-(0[1-9]|1[0-2])", r"[A-Z][a-z]{2,9}( [a-z]{2,9}){2,5}\.", r"(\d{1,3}, ){0,3}\d{1,3}", r"(yes|no)( because [a-z ]{5,20})?",
    r"<b>[^<>]{1,12}</b>", r"[^\n\"]{1,20}", r"(a|b)*?c{1,3}", r"\$\d+(\.\d{2})?", r"[\u4e00-\u9fff]{2,4}", r"\w{1,9}@\w{1,9}\.(com|org)",
    r"(?:[01]\d|2[0-3]):[0-5]\d", r"\S{1,6}( \S{1,6}){1,2}", r"[-+]?\d{1,5}(e[-+]?\d)?", r"\(\d{3}\) \d{3}-\d{4}", r"(foo|foobar|foobaz)",
]


def balanced(t):
    depth = 0
    for c in t:
        depth += (c == "(") - (c == ")")
        if depth < 0:
            return False
    return depth == 0


def arithmetic(t):
    return re.fullmatch(r"[0-9()+*-]+", t) and isinstance(eval(compile(re.sub(r"\b0+(?=\d)", "", t), "t", "eval")), int)


GRAMMARS = [
    ('root ::= expr\nexpr ::= term (("+" | "-" | "*") term)?\nterm ::= [1-9] [0-9]? | "(" expr ")"', arithmetic),
    ('root ::= pair{1,3}\npair ::= "(" pair? ")"', lambda t: balanced(t) and re.fullmatch(r"[()]+", t)),
    ('root ::= "a" root "b" | "ab"', lambda t: re.fullmatch(r"a+b+", t) and t.count("a") == t.count("b")),
    ('root ::= object\nobject ::= "{" (pair ("," pair){0,2})? "}"\npair ::= string ":" value\nvalue ::= string | [0-9]{1,3} | object | "null"\n'
     'string ::= "\\"" [a-z]{1,5} "\\""', lambda t: isinstance(json.loads(re.sub(r":0+(?=\d)", ":", t)), dict)),
    ('# a comment\nroot ::= (line "\\n"){2,3} # of lines\nline ::= [^\\n#]{1,12}', lambda t: 2 <= t.count("\n") <= 3 and t[-1] == "\n"),
    ('root ::= "x"{3} | "y"{2,4} | "z"{0,1} "!"', lambda t: t in ("xxx", "yy", "yyy", "yyyy", "!", "z!")),
    ('root ::= [\\u00e0-\\u00ff]{2,3} "\\x41\\u0042"', lambda t: re.fullmatch("[\u00e0-\u00ff]{2,3}AB", t)),
    ('root ::= palin\npalin ::= "0" palin "0" | "1" palin "1" | "2"', lambda t: t == t[::-1] and set(t) <= set("012")),
    ('root ::= move{1,4}\nmove ::= [1-9] ". " san " " san "\\n"\nsan ::= [NBRQK]? [a-h] [1-8] | "O-O"',
     lambda t: all(re.fullmatch(r"\d\. ([NBRQK]?[a-h][1-8]|O-O) ([NBRQK]?[a-h][1-8]|O-O)", l) for l in t.splitlines())),
    ('root ::= "SELECT " col (", " col){0,2} " FROM " [a-z]{1,6} (" WHERE " col " = " [0-9]{1,3})? ";"\ncol ::= [a-z]{1,5}',
     lambda t: re.fullmatch(r"SELECT [a-z]{1,5}(, [a-z]{1,5}){0,2} FROM [a-z]{1,6}( WHERE [a-z]{1,5} = \d{1,3})?;", t)),
]
REFUSED = [
    # nothing satisfies them
    {"json_schema": {"type": "integer", "minimum": 1.2, "maximum": 1.8}}, {"json_schema": {"type": "array", "minItems": 2, "maxItems": 1}},
    {"json_schema": {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 4}}, {"json_schema": {"const": 1, "enum": [2, 3]}},
    {"json_schema": {"type": "string", "enum": [1, 2]}}, {"json_schema": obj(x=False)}, {"json_schema": {"anyOf": [False, {"enum": []}]}},
    {"json_schema": {"type": "array", "items": False, "minItems": 1}}, {"json_schema": {"type": "string", "pattern": "[]"}},
    # no text of them ends
    {"json_schema": {"$defs": {"n": obj(next={"$ref": "#/$defs/n"})}, "$ref": "#/$defs/n"}}, {"json_schema": {"$ref": "#"}},
    {"json_schema": {"type": "array", "items": {"$ref": "#"}, "minItems": 1}}, {"grammar": 'root ::= "a" root'},
    {"grammar": 'root ::= a\na ::= "x" b\nb ::= "y" a'},
    # not to be kept
    {"json_schema": {"type": "array", "uniqueItems": True}}, {"json_schema": {"not": {"type": "null"}}},
    {"json_schema": {"type": "object", "patternProperties": {"^a": {}}}}, {"json_schema": {"type": "number", "multipleOf": 3}},
    {"json_schema": {"if": {}, "then": {}}}, {"json_schema": {"type": "object", "minProperties": 1}},
    {"json_schema": {"type": "string", "format": "postcode"}}, {"json_schema": {"type": "text"}}, {"json_schema": {"type": "string", "pattern": "a(?!b)"}},
    {"regex": r"(a)\1"}, {"regex": r"a\bb"}, {"regex": r"\p{L}"}, {"regex": "a{2,1}"}, {"regex": "[z-a]"}, {"regex": "a{1000000}"}, {"regex": "*"},
    # malformed
    {"json_schema": "[1"}, {"json_schema": []}, {"json_schema": {"$ref": "other.json#/x"}}, {"json_schema": {"type": "object", "required": "a"}},
    {"grammar": 'root ::= missing'}, {"grammar": 'root ::= "a'}, {"grammar": 'root ::= ("a"'}, {"grammar": 'root = "a"'}, {"grammar": ""},
    {"grammar": 'root ::= root? "a"'}, {"grammar": 'root ::= "a"\nroot ::= "b"'}, {"grammar": 'root ::= [a'}, {"grammar": "root ::= \"\\q{\" {3}"},
]


def run(lines):
    p = subprocess.run([olivine, "generate", root + "/models/pebble", "--jsonl"],
                       input="".join(json.dumps(l) + "\n" for l in lines).encode(), capture_output=True)
    out = [json.loads(l) for l in p.stdout.decode().splitlines()]
    if len(out) != len(lines):
        sys.exit("FAIL decoding/grammars: %d answers to %d requests: %s" % (len(out), len(lines), p.stderr.decode()))
    return out


def check_schema(schema, t):
    v = json.loads(t)
    if jsonschema:
        jsonschema.Draft202012Validator(schema).validate(v)
    return valid(v, schema, schema)


rng = random.Random(71)
cases = [({"json_schema": s}, lambda t, s=s: check_schema(s, t)) for s in HAND]
while len(cases) < 200:
    s = schema_of(rng, 3)
    cases.append(({"json_schema": s}, lambda t, s=s: check_schema(s, t)))
cases += [({"regex": r}, lambda t, r=r: re.fullmatch(r, t)) for r in REGEXES]
cases += [({"grammar": g}, f) for g, f in GRAMMARS]
lines = [{"prompt": rng.choice(["One day", "2 + 2 =", "{", "The"]), "max_new_tokens": 440, "do_sample": True, "temperature": rng.choice([1.0, 2.0, 4.0]),
          "top_k": 0, "seed": i, **field} for i, (field, _) in enumerate(cases)]
bad = unended = 0
for (field, check), out in zip(cases, run(lines)):
    try:
        why = "" if out["finish_reason"] == "stop" and check(out["text"]) else "not valid"
        if out["finish_reason"] == "length":
            unended += 1
            why = "" if "$ref" in json.dumps(field) or "grammar" in field else "did not end"
    except Exception as e:
        why = "%s: %s" % (type(e).__name__, str(e)[:200])
    if why:
        bad += 1
        print("  %s gave %s (%s)" % (json.dumps(field), json.dumps(out)[:300], why))
if unended > 8:
    bad += 1
    print("  %d texts did not end" % unended)
print("%s decoding/grammars (%d schemas and grammars sampled hot, checked by our validator%s; %d ran into the length limit)" %
      ("FAIL" if bad else "PASS", len(cases), " and jsonschema" if jsonschema else "; jsonschema is not installed", unended))
wrong = 0
for field, out in zip(REFUSED, run([{"prompt": "a", "max_new_tokens": 5, **f} for f in REFUSED])):
    if "error" not in out or len(json.dumps(out["error"])) < 20:
        wrong += 1
        print("  %s was not refused: %s" % (json.dumps(field), json.dumps(out)[:300]))
print("%s decoding/grammars/refusals (%d)" % ("FAIL" if wrong else "PASS", len(REFUSED)))
sys.exit(bad + wrong > 0)
