#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Constrained decoding with models/pebble: every text must be what the schema, expression or grammar says, decoded
greedily and by sampling; what cannot be satisfied must be refused."""
import json
import re
import subprocess
import sys

olivine, root = sys.argv[1:3]

S = {"type": "string", "maxLength": 12}
N = {"type": "integer", "minimum": 0, "maximum": 99}


def obj(required=None, **props):
    return {"type": "object", "properties": props, "required": list(props) if required is None else required,
            "additionalProperties": False}


def is_int(v):
    return isinstance(v, int) and not isinstance(v, bool)


def has(v, **kinds):
    return isinstance(v, dict) and list(v) == list(kinds) and all(k(v[n]) for n, k in kinds.items())


def short(n=12):
    return lambda v: isinstance(v, str) and len(v) <= n


def in99(v):
    return is_int(v) and 0 <= v <= 99


SCHEMAS = [
    ({"type": "boolean"}, lambda v: isinstance(v, bool)),
    ({"type": "null"}, lambda v: v is None),
    (N, in99),
    ({"type": "integer", "minimum": -5, "maximum": 5}, lambda v: is_int(v) and -5 <= v <= 5),
    ({"type": "integer", "minimum": 1000, "maximum": 1003}, lambda v: is_int(v) and 1000 <= v <= 1003),
    (S, short()),
    ({"type": "string", "minLength": 5, "maxLength": 8}, lambda v: isinstance(v, str) and 5 <= len(v) <= 8),
    ({"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}, lambda v: re.fullmatch("[A-Z]{3}-[0-9]{4}", v)),
    ({"type": "string", "format": "date"}, lambda v: re.fullmatch(r"\d{4}-\d\d-\d\d", v)),
    ({"enum": ["red", "green", "blue"]}, lambda v: v in ("red", "green", "blue")),
    ({"enum": [1, "two", None, [3]]}, lambda v: v in (1, "two", None, [3])),
    ({"const": {"a": [1, 2]}}, lambda v: v == {"a": [1, 2]}),
    (obj(name=S, age=N), lambda v: has(v, name=short(), age=in99)),
    (obj(capital=S), lambda v: has(v, capital=short())),
    (obj(answer=N, steps={"type": "array", "items": N, "minItems": 2, "maxItems": 3}),
     lambda v: has(v, answer=in99, steps=lambda s: 2 <= len(s) <= 3 and all(map(in99, s)))),
    (obj(ok={"type": "boolean"}, why={"type": ["string", "null"], "maxLength": 9}),
     lambda v: has(v, ok=lambda b: isinstance(b, bool), why=lambda s: s is None or short(9)(s))),
    (obj(a=obj(b=obj(c=N))), lambda v: has(v, a=lambda a: has(a, b=lambda b: has(b, c=in99)))),
    (obj([], a=N, b=N), lambda v: isinstance(v, dict) and set(v) <= {"a", "b"} and all(map(in99, v.values()))),
    (obj(["b"], a=N, b=N), lambda v: "b" in v and set(v) <= {"a", "b"} and all(map(in99, v.values()))),
    ({"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 1, "maxItems": 4},
     lambda v: 1 <= len(v) <= 4 and set(v) <= {"x", "y"}),
    ({"type": "array", "prefixItems": [N, S], "items": False, "minItems": 2},
     lambda v: len(v) == 2 and in99(v[0]) and short()(v[1])),
    ({"anyOf": [N, {"type": "boolean"}]}, lambda v: in99(v) or isinstance(v, bool)),
    ({"oneOf": [obj(kind={"const": "a"}, n=N), obj(kind={"const": "b"}, s=S)]},
     lambda v: has(v, kind=lambda k: k == "a", n=in99) or has(v, kind=lambda k: k == "b", s=short())),
    ({"$defs": {"p": obj(x=N, y=N)}, **obj(tl={"$ref": "#/$defs/p"}, br={"$ref": "#/$defs/p"})},
     lambda v: has(v, tl=lambda p: has(p, x=in99, y=in99), br=lambda p: has(p, x=in99, y=in99))),
    (obj(tool={"const": "search"}, arguments=obj(query=S, limit={"type": "integer", "minimum": 1, "maximum": 5})),
     lambda v: has(v, tool=lambda t: t == "search",
                   arguments=lambda a: has(a, query=short(), limit=lambda n: is_int(n) and 1 <= n <= 5))),
    ({"type": "array", "items": obj(id=N), "minItems": 2, "maxItems": 2},
     lambda v: len(v) == 2 and all(has(i, id=in99) for i in v)),
]
REGEXES = [
    r"[0-9]{1,3} \+ [0-9]{1,3} = [0-9]{1,3}", r"yes|no|maybe", r"(ab|cd){2,5}", r"[a-z]{3,10}", r"\d{3}-\d{4}",
    r"(The|A) (cat|dog|fox) (runs|sleeps)\.", r"#[0-9a-f]{6}", r"[A-Z][a-z]{2,8}( [A-Z][a-z]{2,8})?",
    r"https://[a-z]{1,10}\.(com|org)", r"\$\d{1,4}\.\d{2}", r"(\d{1,3}\.){3}\d{1,3}", r"[äöü]{2,4}",
    r"\[(\d{1,2}, ){1,3}\d{1,2}\]", r"", r"x{20}",
]
GRAMMARS = [
    ('root ::= "yes" | "no"', r"yes|no"),
    ('root ::= digit digit "+" digit digit\ndigit ::= [0-9]', r"\d\d\+\d\d"),
    ('root ::= item ("," item){1,3}\nitem ::= [a-z]{2,4}', r"[a-z]{2,4}(,[a-z]{2,4}){1,3}"),
    ('root ::= "(" inner ")"\ninner ::= "(" leaf ")" | leaf\nleaf ::= [0-9]', r"\((\(\d\)|\d)\)"),
    ('root ::= greeting " " name "!"\ngreeting ::= "Hello" | "Hi"\nname ::= [A-Z] [a-z]{1,6}', r"(Hello|Hi) [A-Z][a-z]{1,6}!"),
    ('root ::= line{2,3}\nline ::= "- " [a-z]{1,8} "\\n"', r"(- [a-z]{1,8}\n){2,3}"),
    ('root ::= key "=" value\nkey ::= [a-z]{1,5}\nvalue ::= "true" | "false" | [0-9]{1,3}', r"[a-z]{1,5}=(true|false|\d{1,3})"),
    ('root ::= "a" opt? "z"\nopt ::= "m"{1,3}', r"am{0,3}z"),
    ('root ::= "SELECT " col ("," col){0,2} " FROM " col\ncol ::= [a-z]{1,6}', r"SELECT [a-z]{1,6}(,[a-z]{1,6}){0,2} FROM [a-z]{1,6}"),
]
REFUSED = [
    {"json_schema": {"type": "integer", "minimum": 5, "maximum": 4}},
    {"json_schema": {"enum": []}},
    {"json_schema": False},
    {"json_schema": {"type": "string", "minLength": 5, "maxLength": 4}},
    {"json_schema": {"$ref": "#/$defs/none"}},
    {"json_schema": "{nonsense"},
    {"regex": "(ab"}, {"regex": "(?=a)b"}, {"grammar": "start ::= \"a\""}, {"grammar": "root ::= root \"a\""},
    {"regex": "a", "grammar": "root ::= \"a\""}, {"response_format": {"type": "xml"}}, {"mirostat": 3},
    {"xtc_probability": 2}, {"dry_multiplier": -1}, {"logit_bias": {"x": 1}},
]
QUESTIONS = ["What is 27 + 48?", "What is the capital of Norway?", "Tell me about a fox."]


def items():
    """Request, check of its text."""
    for i, (schema, check) in enumerate(SCHEMAS):
        field = [{"json_schema": schema}, {"json_schema": json.dumps(schema)},
                 {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}][i % 3]
        yield field, lambda t, c=check: c(json.loads(t))
    for r in REGEXES:
        yield {"regex": r}, lambda t, r=r: re.fullmatch(r, t)
    for g, r in GRAMMARS:
        yield {"grammar": g}, lambda t, r=r: re.fullmatch(r, t)


def run(lines):
    text = "".join(json.dumps(l) + "\n" for l in lines)
    p = subprocess.run([olivine, "generate", root + "/models/pebble", "--jsonl"], input=text.encode(), capture_output=True)
    out = [json.loads(l) for l in p.stdout.decode().splitlines()]
    if len(out) != len(lines):
        sys.exit("FAIL decoding/constraints: %d answers to %d requests: %s" % (len(out), len(lines), p.stderr.decode()))
    return out


cases, lines = list(items()), []
for i, (field, _) in enumerate(cases):
    ask = {"messages": [{"role": "user", "content": QUESTIONS[i % 3]}], "max_new_tokens": 300, **field}
    lines += [ask, {**ask, "do_sample": True, "temperature": 1.3, "top_k": 0, "seed": i,
                    **({"xtc_probability": 0.5, "dry_multiplier": 0.8} if i % 2 else {"mirostat": 2})}]
bad = 0
for i, out in enumerate(run(lines)):
    field, check = cases[i // 2]
    try:
        good = out["finish_reason"] == "stop" and check(out["text"])
    except (KeyError, ValueError, TypeError):
        good = False
    if not good:
        bad += 1
        print("  %s gave %s" % (json.dumps(field), json.dumps(out)[:300]))
for field, out in zip(REFUSED, run([{"prompt": "a", "max_new_tokens": 5, **f} for f in REFUSED])):
    if "error" not in out:
        bad += 1
        print("  %s was not refused: %s" % (json.dumps(field), json.dumps(out)[:300]))
biased = run([{"prompt": "One day", "max_new_tokens": 4, "logit_bias": {"100": 1000}}])[0]
if biased["ids"] != [100] * 4:
    bad += 1
    print("  logit_bias: %s" % biased["ids"])
print("%s decoding/constraints (%d constraints, each greedy and sampled; %d refusals)" %
      ("FAIL" if bad else "PASS", len(cases), len(REFUSED)))
sys.exit(bad > 0)
