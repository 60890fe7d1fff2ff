# SPDX-License-Identifier: Apache-2.0
"""Compares `olivine template` with jinja2 on many small templates. usage: differential.py [BIN]

Prints one line: PASS, FAIL or SKIP (with the reason) templates/differential. The environment is the one that
transformers uses. Where jinja2 fails, an error is asked for; its wording is not compared."""
import copy, json, os, random, subprocess, sys, tempfile
from datetime import datetime

try:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.ext import Extension, loopcontrols
    from jinja2 import nodes
except ImportError:
    print("SKIP templates/differential (python package jinja2 is absent)")
    sys.exit(0)


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


NOW = datetime(2026, 3, 5, 7, 8, 9)
env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = lambda f: NOW.strftime(f)

VARS = {
    "messages": [{"role": "system", "content": "Be <b>brief</b>."}, {"role": "user", "content": "Hi 'there' \"x\"\n"},
                 {"role": "assistant", "content": "  ünï – ß \u2028 ﬁ ΑΣ  ", "n": 3}],
    "xs": [3, 1, 2, 2], "words": ["b", "A", "c", "a"], "d": {"b": 1, "a": [1, 2.5, None, True], "C": {"x": "y"}},
    "s": "Hello, World-wide web", "t": "  pad\t\n", "e": "", "i": 7, "neg": -7, "f": 2.5, "tiny": 1e-7, "big": 1e22,
    "none": None, "yes": True, "no": False, "empty": [], "u": "ÀÉîøŒ ǆ İi", "lines": "a\nb\r\nc\n\nd",
    "people": [{"n": "Bo", "a": 3, "k": {"z": 1}}, {"n": "al", "a": 1, "k": {"z": 2}}, {"n": "Cy", "a": 3, "k": {}}],
    "nested": [[1, 2], [3, [4, 5]]], "intfloat": 3.0, "html": "<a href='x'>&\"</a>",
}

VALUES = ["xs", "words", "d", "s", "t", "e", "i", "neg", "f", "tiny", "big", "none", "yes", "empty", "u", "lines",
          "people", "nested", "intfloat", "html", "missing", "messages", "(1,2)", "(1,)", "()", "range(5)", "1.0", "'x'",
          "d.a", "messages[0].content", "people[0]", "'42'", "' 3.7 '", "xs[1:]", "'0x1f'"]
FILTERS = """abs capitalize count default('D') default('D',true) d dictsort dictsort(by='value') dictsort(reverse=true) e
escape first float float(1.5) forceescape int int(9) int(base=16) items|list join join(', ') join('-',attribute='n') last
length list lower map('upper')|list map(attribute='n')|list map('default','Q')|list max min max(attribute='a')
min(attribute='a') reject|list reject('odd')|list rejectattr('n')|list rejectattr('a','eq',3)|list replace('a','b')
replace('l','L',1) replace('','-') reverse reverse|list round round(1) round(1,'floor') round(0,'ceil') safe select|list
select('string')|list select('in',[1,2])|list selectattr('a')|list selectattr('a','gt',1)|list slice(2)|list
slice(3,'x')|list sort sort(reverse=true) sort(attribute='n') sort(attribute='a,n') sort(case_sensitive=true) string sum
sum(attribute='a') sum(start=10) title tojson tojson(indent=2) tojson(sort_keys=true) tojson(separators=(',',':'))
tojson(ensure_ascii=true) tojson(indent=1,sort_keys=true) trim trim('H') truncate(8) truncate(8,true) truncate(12,false,'…')
unique|list unique(attribute='a')|list upper wordcount batch(2)|list batch(3,'-')|list center(30) center indent indent(2,true)
indent('>> ',blank=true) groupby('a')|list format(1) urlencode attr('upper') xmlattr striptags pprint filesizeformat
filesizeformat(true) string|length list|length map('int')|sum select('defined')|map('string')|join('|')
wordwrap(7) nosuchfilter""".split()
FILTERS = [f for f in FILTERS if f not in ("wordwrap(7)", "pprint", "attr('upper')")]
TESTS = """defined undefined none string number integer float boolean true false mapping iterable sequence callable odd even
lower upper eq(3) ne(3) gt(1) lt(5) ge(3) le(2) in([1,2]) sameas(none) divisibleby(3) escaped equalto('x') filter test
nosuch""".split()
METHODS = """upper() lower() title() capitalize() swapcase() casefold() strip() strip('H d') lstrip() rstrip('b\\n') split()
split(',') split('l',1) rsplit('l',1) rsplit(none,1) split(none,1) splitlines() splitlines(true) partition('o') rpartition('o')
replace('l','L') replace('l','L',2) replace('','.') startswith('He') endswith(('b','x')) startswith('l',2) find('o')
rfind('o') find('zz') index('zz') count('l') count('') isdigit() isalpha() isalnum() isupper() islower() isspace() istitle()
isnumeric() isdecimal() isidentifier() isascii() isprintable() zfill(30) ljust(30,'*') rjust(30) center(31,'~')
removeprefix('Hel') removesuffix('web') expandtabs(4) join(['1','2']) join(xs) format(1) get('a') get('zz') get('zz',5) keys()
values() items() keys()|list values()|list items()|list copy() pop() append(1) update({}) index(2) count(2) nosuch() x [0] [-1]
[1:] [:-1] [::-1] [::2] [5:1:-2] ['a'] ['zz'] [none] [1.0] [99] items|length __class__ a b C bit_length() is_integer()""".split()
OPS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]

SNIPPETS = r"""
{% for x in xs %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.length }}{{ loop.first }}{{ loop.last }} {% endfor %}
{% for x in xs if x > 1 %}{{ loop.index }}:{{ x }};{% else %}none{% endfor %}
{% for x in xs if x > 9 %}{{ x }}{% else %}none{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }}{{ "," if not loop.last }}{% endfor %}
{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}
{% for a, (b, c) in [(1,(2,3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [1,2] %}{{ a }}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for x in none %}{% endfor %}
{% for x in missing %}{{ x }}{% else %}E{% endfor %}
{% for c in "añ𝄞" %}[{{ c }}]{% endfor %}
{% for x in xs %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in xs %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in xs %}{{ loop.cycle('a','b') }}{{ loop.changed(x) }}{% endfor %}
{% for x in xs %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }}{% endfor %}
{% for x in xs %}{{ loop.previtem is defined }}{% endfor %}
{% for x in nested recursive %}[{{ loop(x) if x is iterable else x }}@{{ loop.depth }}]{% endfor %}
{% set x = 1 %}{% for y in xs %}{% set x = x + y %}{{ x }},{% endfor %}{{ x }}
{% set ns = namespace(x=1, l=[]) %}{% for y in xs %}{% set ns.x = ns.x + y %}{% set ns.l = ns.l + [y] %}{% endfor %}{{ ns.x }}{{ ns.l }}
{% set ns = namespace({'a': 1}) %}{{ ns.a }}{{ ns.b is defined }}{{ ns.b }}
{% set d.x = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}
{% set a, b = [1] %}
{% set t = 1, %}{{ t }}
{% set b %}block {{ i }}{% endset %}{{ b|upper }}
{% set b | upper %}block {{ i }}{% endset %}{{ b }}
{% macro m(a, b=2, c='x') %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} {{ m(b=1) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(zz=2) }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}
{% macro m(n) %}{{ n }}{% if n > 0 %},{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}body{{ i }}{% endcall %}
{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}+{{ b }}{% endcall %}
{% macro m() %}{% endmacro %}{{ m }}
{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}
{% macro m() %}{% set x = 5 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}
{% macro m(a=i+1) %}{{ a }}{% endmacro %}{{ m() }}
{% filter upper %}abc {{ s }}{% endfilter %}
{% filter replace('a','b')|upper %}aaa{% endfilter %}
{% with a=1, b=i %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% generation %}{{ s }}{% set q = 1 %}{% endgeneration %}{{ q }}
{% raw %}{{ x }}{% y %}{% endraw %}!
{%- raw -%} {{ x }} {%- endraw -%} !
{# comment #}x{#- c -#} y
a {#- c -#} b
a  {%- if yes -%}  b  {%- endif -%}  c
  {% if yes %}  
  x
  {% endif %}  
y
{% if yes %}

a
{% endif %}

b
  {%+ if yes %}x{% endif +%}
z
	{% set x = 1 %}
k
{{ s }}

{{- s -}}   q
{{ 1 if yes }}{{ 1 if no }}|{{ 1 if no else 2 }}|{{ (1 if no) is defined }}
{{ (1 if no).x }}
{{ missing }}{{ missing is defined }}{{ missing.x }}
{{ missing.x.y }}
{{ d.zz }}{{ d.zz is undefined }}{{ d['zz'] }}
{{ d.zz.y }}
{{ none.x }}
{{ none.x.y }}
{{ empty[0] }}
{{ empty[0].x }}
{{ missing + 'a' }}
{{ 'a' + missing }}
{{ 'a' ~ missing ~ 1 ~ none ~ 2.0 ~ [1,'a'] }}
{{ missing == missing2 }}{{ missing == none }}{{ missing in [1] }}{{ 'a' in missing }}
{{ missing < 1 }}
{{ missing() }}
{{ s.nosuch() }}
{{ not missing }}{{ missing and 1 }}{{ missing or 'o' }}
{{ 'a' 'b' "c" }}
{{ 'a\nb\t\x41\u00e9\'\\ \101 \q' }}
{{ [1, 'a', "it's", 'q"', 'b\'"', none, true, 1.5, (1,), {}, {'a': (1,2)}] }}
{{ {1: 2, 'a': 'b', none: 1, 1.5: 2, (1,2): 3} }}
{{ {1: 2, 'a': 'b', none: 1, 1.5: 2, true: 3}|tojson }}
{{ {'b': 1, 'a': 2}|tojson(sort_keys=true, indent='--') }}
{{ [1.0, 1e-7, 1e22, 1e16, 123456789012345680.0, 0.1, 1e15, 0.0001, 0.00001, -0.0, 1/3] }}
{{ [1.0, 1e-7, 1e22, 1e16, 0.1]|tojson }}
{{ 'é\u2028\x7f\x00\x1f"\\'|tojson }}{{ 'é𝄞\u2028\x7f'|tojson(ensure_ascii=true) }}
{{ 'é\u2028\x7f\x01\xa0\u200b\ud7ff𝄞' ~ ['é\u2028\x7f\x01\xa0\u200b𝄞'] }}
{{ 7 // 2 }}{{ -7 // 2 }}{{ 7 % 3 }}{{ -7 % 3 }}{{ 7 % -3 }}{{ 7 / 2 }}{{ 2 ** 10 }}{{ 2 ** -1 }}{{ 7.5 // 2 }}{{ -7.5 % 2 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1.0 % 0 }}
{{ 1 + 2 * 3 - 4 / 2 }}{{ (1 + 2) * 3 }}{{ -2 ** 2 }}{{ 2 ** 3 ** 2 }}{{ -i|abs }}{{ -(3)|abs }}
{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 1 == 1.0 }}{{ true == 1 }}{{ 'a' < 'b' }}{{ [1,2] < [1,3] }}{{ (1,2) == (1,2) }}{{ [1] == (1,) }}
{{ 'a' < 1 }}
{{ 1 in [1,2] }}{{ 'a' in 'abc' }}{{ 'a' in {'a':1} }}{{ 1 not in [1] }}
{{ 1 in 'abc' }}
{{ 1 in 5 }}
{{ [] in {'a': 1} }}
{{ true + 1 }}{{ true * 3 }}{{ 'ab' * 3 }}{{ [1] * 2 }}{{ 3 * 'x' }}{{ (1,) + (2,) }}{{ [1] + [2] }}
{{ [1] + (2,) }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ 'a' - 'b' }}
{{ '%s is %d and %5.2f %r %x %o %e %g %% %c' % ('a', 3, 2.5, 'q', 255, 8, 12345.678, 0.0001, 'z') }}
{{ '%-5s|%05d|%+d|% d|%5s|%.2s' % ('a', 3, 4, 5, 'b', 'xyz') }}
{{ '%(a)s %(b)d' % {'a': 1, 'b': 2} }}
{{ '%s' % missing }}{{ '%s' % none }}{{ '%s' % [1] }}{{ '%s' % (1,) }}
{{ '%s %s' % 'a' }}
{{ '%d' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '{} {} {0}'.format(1, 2) }}
{{ '{} {}'.format(1, 'x') }}{{ '{1}{0}'.format('a', 'b') }}{{ '{a} {b!r} {c:>5}|{d:<5}|{e:^5}|{f:05d}|{g:.2f}|{h:,}'.format(a=1, b='q', c='x', d='y', e='z', f=42, g=3.14159, h=1234567) }}
{{ '{:x} {:#x} {:b} {:e} {:g} {:%} {:+d} {:s} {:*^9}'.format(255, 255, 5, 12345.6789, 0.00001, 0.25, 3, 'a', 'mid') }}
{{ '{0[0]} {1[a]} {{}}'.format(xs, d) }}
{{ '{} {}'.format(1) }}
{{ '{:d}'.format('a') }}
{{ '{:.3}|{:10.3f}|{}|{!s}'.format('abcdef', 3.14159, 2.0, none) }}
{{ "Hello %s" | format("World") }}{{ "%(a)s" | format(a=1) }}
{{ range(3)|list }}{{ range(1, 7, 2)|list }}{{ range(5, 0, -2)|list }}{{ range(3) }}{{ range(1,2,3) }}{{ range(10)[2:5] }}{{ range(10)[-1] }}
{{ range(1000000) }}
{{ range(1, 2, 0) }}
{{ dict(a=1, b=2) }}{{ dict([('x', 1)]) }}{{ dict({'q': 1}, z=2) }}
{{ dict(a=1).items() }}{{ {'a': 1}.keys() }}{{ {'a': 1}.values() }}{{ {}.items() }}
{{ (xs|map('string')) is iterable }}{{ (xs|map('string'))|join }}
{{ xs|select('odd')|length }}
{% set g = xs|select('odd') %}{{ g|list }}{{ g|list }}
{% if xs|selectattr('zz') %}T{% else %}F{% endif %}
{{ people|map(attribute='k.z')|list }}{{ people|map(attribute='k.z', default=0)|list }}
{{ people|sort(attribute='a')|map(attribute='n')|list }}{{ people|groupby('a')|map('first')|list }}
{% for g in people|groupby('a') %}{{ g.grouper }}:{{ g.list|map(attribute='n')|join(',') }};{{ g[0] }}{% endfor %}
{% for k, items in people|groupby('n') %}{{ k }}:{{ items|length }};{% endfor %}
{{ 'abc'|first }}{{ 'abc'|last }}{{ []|first }}{{ xs|first }}{{ xs|last }}
{{ 'a,b'|replace(',', ';')|upper }}{{ 'x'|default }}{{ missing|default }}{{ none|default('q') }}{{ ''|default('q', boolean=true) }}
{{ ('<' | e) + '<' }}{{ '<' ~ ('<'|e) }}{{ ('a'|safe) + '<b>' }}{{ '<b>' + ('a'|safe) }}{{ ('x<'|safe)|e }}{{ ['<'|e] }}
{{ '<>&"\''|e }}{{ '<>'|safe|upper }}{{ ('<'|e)|length }}
{{ strftime_now('%d %b %Y %H:%M:%S %A %j %U %W %V %G %y %I %p %e %-d %% %F %T %B') }}
{{ raise_exception('bad ' ~ i) }}
{{ cycler('a','b').next() }}{% set c = cycler('a','b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}
{% set j = joiner(', ') %}{% for x in xs %}{{ j() }}{{ x }}{% endfor %}
{{ 'abc'[1] }}{{ 'añb'[1] }}{{ 'añb'[-2:] }}{{ 'abc'[5] }}{{ 'abc'[1:2] }}{{ 'abc'[::-1] }}
{{ xs[10:] }}{{ xs[-2:] }}{{ xs[:-5] }}{{ xs[::2] }}{{ xs[3:0:-1] }}{{ xs[::0] }}
{{ xs['a'] }}{{ xs.a }}{{ s[none] }}{{ i[0] }}
{{ xs[1.5] }}|{{ xs[true] }}|{{ d[1] }}
{{ xs.append(5) }}
{{ d.update({'x': 1}) }}
{{ d.pop('a') }}
{{ d.items }}
{{ xs is sequence }}{{ d is sequence }}{{ s is sequence }}{{ 5 is sequence }}{{ (xs|map('int')) is sequence }}{{ range(2) is sequence }}
{{ 1 is number }}{{ true is number }}{{ true is integer }}{{ 1.0 is integer }}{{ 1.0 is float }}{{ true is boolean }}{{ none is none }}
{{ 3 is divisibleby 3 }}{{ 3 is not divisibleby 2 }}{{ 3 is odd }}{{ 'a' is in ['a'] }}{{ 1 is eq 1 }}{{ 1 is sameas 1.0 }}
{{ i is defined and i > 3 }}{{ i is not defined or 1 }}{{ not i is none }}{{ i is string is defined }}
{{ i is nosuch }}
{{ x.y is defined }}
{{ 'ß'.upper() }}{{ 'ﬁx'.upper() }}{{ 'ΑΣ ΣΑ'.lower() }}{{ 'İ'.lower() }}{{ 'ǆ'.title() }}{{ 'ŉ'.title() }}{{ "they're bill's"|title }}{{ "they're bill's".title() }}
{{ 1_000 }}{{ 0x1F }}{{ 0b101 }}{{ 0o17 }}{{ 1.5e3 }}{{ 1e3 }}{{ 1_0.5_0 }}
{{ [1,2,3,] }}{{ {'a':1,} }}{{ (1,2,) }}{{ () }}
{{ {'a':{'b':{'c':1}}}.a.b.c }}{{ {'a': 1}['a'] }}{{ [[1,2],[3]][0][1] }}
{{ 1, 2 }}{{ (1) }}
{{ true }}{{ True }}{{ none }}{{ None }}{{ false and 1 }}
{{ 'x' if true else 'y' if false else 'z' }}{{ [1 if yes else 2, 3] }}
{{ xs|map('multiply', 2)|list }}
{{ words|sort }}{{ words|sort(true) }}{{ words|sort(case_sensitive=true) }}{{ words|unique|list }}{{ words|max }}{{ words|min }}
{{ [1,'a']|sort }}
{{ [[2,1],[1,2]]|sort }}{{ [[1,2],[3]]|sum(start=[]) }}{{ []|sum }}{{ []|max }}
{{ ['a','b']|sum }}
{{ {'x':1}|items|list }}{{ 5|items }}
{{ "a b  c"|wordcount }}{{ 2.675|round(2) }}{{ 0.5|round }}{{ 1.5|round }}{{ 2.5|round }}{{ 42|round }}{{ 1234.5|round(-2) }}{{ 42.55|round(1,'ceil') }}
{{ 'abc'|list }}{{ d|list }}{{ 'abc'|reverse }}{{ xs|reverse|list }}
{{ '1.5'|int }}{{ 'x'|int }}{{ '12'|int }}{{ none|int }}{{ true|int }}{{ 3.99|int }}{{ '0x1f'|int(base=16) }}{{ ' 12 '|int }}{{ '1_000'|int }}{{ '-5'|int }}{{ 'ff'|int(0,16) }}
{{ '1.5'|float }}{{ 'x'|float }}{{ 'inf'|float }}{{ 'nan'|float }}{{ '1e5'|float }}{{ 3|float }}{{ none|float }}
{{ "x"|indent }}{{ "a\nb\n\nc"|indent(2) }}{{ "a\nb"|indent(2, true) }}{{ "a\n\nb\n"|indent(2, blank=true) }}
{% if %}x{% endif %}
{% for x in %}{% endfor %}
{{ 1 + }}
{{ (1 }}
{{ 'abc }}
{% endif %}
{% if yes %}
{% nosuch %}
{{ x | }}
{% include 'x' %}
{% extends 'x' %}
{% import 'x' as y %}
{% set %}
{% set true = 1 %}
{{ a.b.c() }}
{% break %}
{# open
{% block b %}in{{ i }}{% endblock %}
{% block b %}in{% endblock b %}!
{% if no %}a{% elif i == 7 %}b{% else %}c{% endif %}{% if no %}a{% elif no %}b{% else %}c{% endif %}
{%if yes%}x{%endif%}{{i}}{{-i-}} {%-if yes-%} q {%-endif-%}
{{ "}}" }}{{ '%}' }}{{ {'a': {'b': 1}} }}{{ "{{" }}
{{ {"a":{"b":1}}["a"]["b"] }}
{% set ns = namespace() %}{{ ns.x }}{% set ns.x = 1 %}{{ ns.x }}{{ ns }}
{% for m in messages %}{{ m.role }}{% if m.content is string %}: {{ m.content | trim }}{% endif %}{{ '\n' }}{% endfor %}
{{ messages | tojson }}{{ messages }}{{ messages|string|length }}
{{ messages|selectattr('role','equalto','user')|list|length }}{{ (messages|selectattr('role','in',['user','system'])|list)[0].role }}
{{ messages[-1]['content'] }}{{ messages[1:]|length }}{{ messages|map(attribute='role')|join(' ') }}
{{ range is callable }}{{ s.upper is callable }}{{ s.upper is defined }}
{{ d.get('a', [])[1] }}{{ d.get('zz', {}).get('q', 'dflt') }}{{ d|length }}{{ d|first }}{{ d|join('-') }}
{% set a = [] %}{% for x in xs %}{% set a = a + [x] %}{% endfor %}{{ a }}
{% for x in xs %}{% for y in xs %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}
{% for x in xs %}{% set outer = loop %}{% for y in [1] %}{{ outer.index }}{% endfor %}{% endfor %}
{{ loop }}
{% for x in xs %}{{ loop }}{% endfor %}
{% if yes %}{% set z = 1 %}{% endif %}{{ z }}{% if no %}{% set zz = 1 %}{% endif %}{{ zz }}
{% if no %}{% set i = 1 %}{% endif %}{{ i }}
{{ [] is iterable }}{{ {} is mapping }}{{ '' is string }}{{ 'A' is upper }}{{ 'a' is lower }}{{ none is iterable }}
{{ [1,2]|tojson(indent=4) }}{{ []|tojson(indent=4) }}{{ {}|tojson(indent=4) }}{{ [[]]|tojson(indent=1) }}
{{ missing|tojson }}
{{ xs|map('string')|tojson }}
{{ namespace()|tojson }}
{{ (1,2)|tojson }}{{ true|tojson }}{{ none|tojson }}{{ 'a'|tojson }}{{ 1.5|tojson }}
{{ d.keys()|tojson }}
{% macro a() %}A{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}
{% macro f(x) %}{{ x.y }}{% endmacro %}{{ f({'y': 1}) }}{{ f(none) }}{{ f() }}
{% for x in xs recursive %}{{ x }}{% endfor %}{{ xs|join(',')|replace(',', ', ') }}
{{ "a" ~ 1 + 2 }}{{ 1 ~ 2 * 3 }}{{ "x" ~ [1] }}
{{ s.split(',')[1].strip().split('-')|last }}{{ s.split()|join('_') }}
{{ foo(1) }}
{{ s() }}
{{ xs|join(d='+') }}{{ xs|join(nosuch=1) }}
{{ xs|length() }}{{ xs|length(1) }}
{% set x = "a" if yes else "b" %}{{ x }}{% set x = 1 if no %}{{ x is defined }}
{{ "" ~ (missing|default({}, true)).x }}
{{ 'a' is string and 'b' }}{{ 1 if 'a' is string else 2 }}{{ 'x' is string or 1 }}
{{ d.a[3] }}{{ d["a"][-1] }}{{ d.C.x }}{{ d.a.0 }}{{ d.a.1 }}
{% call s() %}{% endcall %}
{% set x %}a{% endset %}{{ x ~ x }}{{ x is string }}
{%- set x = 1 -%}

   {{- x -}}

end
""".strip("\n").split("\n")
MULTI = ["  {% if yes %}  \n  x\n  {% endif %}  \ny", "{% if yes %}\n\na\n{% endif %}\n\nb\n", "  {%+ if yes %}x{% endif +%}\nz",
         "\t{% set x = 1 %}\nk\n\n", "a\n  {# c #}\n  b\r\n{% if yes %}\r\n c\r{% endif %}\n", "{{ s }}\n", "{{ s }}\n\n",
         "x {{ s }}  {% if yes %} y {% endif %}\n z", "{%- for x in xs %}\n  {{ x }}\n{%- endfor %}\n",
         "{% for x in xs -%}\n   {{ x }}   \n{%- endfor %}", "{% macro m() %}\n  in\n{% endmacro %}\n[{{ m() }}]",
         "a\n{% raw %}\n {{ x }}\n{% endraw %}\nb", "a{#\n multi\n#}\nb", "\n\n  {%- if yes -%}\n\n x \n\n{%- endif -%}\n\n",
         "{% set x %}\n a\n{% endset %}\n[{{ x }}]", "{% filter upper %}\nq\n{% endfilter %}\n", "\u00a0{% if yes %}x{% endif %}",
         "\x0b{% if yes %}x{% endif %}", "a \x0c {%- if yes %}x{% endif %}", "{% if yes %}x{% endif %}\n\n\n",
         "   {{ s }}", "   {# c #}   \n  x", "{{ 'a\nb' }}", "{% if yes\n and i %}\nmulti{% endif %}"]


def generated(rng):
    out = []
    for v in VALUES:
        out += ["{{ %s | %s }}" % (v, f) for f in FILTERS] + ["{{ %s is %s }}" % (v, t) for t in TESTS]
        for m in METHODS:
            out.append("{{ (%s)%s%s }}" % (v, "" if m[0] == "[" else ".", m))
        out.append("{{ %s }}|{{ [%s] }}|{{ not %s }}|{{ 'T' if %s else 'F' }}" % (v, v, v, v))
        for w in VALUES:
            out += ["{{ %s %s %s }}" % (v, o, w) for o in OPS]
    rng.shuffle(out)
    return out


def expected(source):
    try:
        return True, env.from_string(source).render(**copy.deepcopy(VARS), tools=None, documents=None, add_generation_prompt=False)
    except Exception as e:  # any failure of jinja2 or Python asks for an error of ours
        return False, "%s: %s" % (type(e).__name__, e)


def unsteady(text):
    return "<generator" in text or "object at 0x" in text or "<function" in text or "<built-in" in text or \
           "<bound" in text or "<class" in text or "iterator object" in text


def beyond(source, ok, want):
    """What we leave out on purpose: integers above 64 bits, complex numbers, and slices of constants that are no
    sequence (jinja2 folds those into an undefined value, but refuses the same of a variable)."""
    if not ok:
        return "int too large" in want
    return want.endswith("j)") or (want.isdigit() and int(want) >= 2 ** 63) or \
        source.startswith(("{{ (none)[", "{{ (1.0)[", "{{ (missing).__", "{{ (yes).bit_length"))


def ours(binary, sources):
    """Answers of the program: all sources become branches of no template; each is a file of its own."""
    out = []
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "t.jinja")
        line = json.dumps(dict(VARS, now=NOW.strftime("%Y-%m-%dT%H:%M:%S"))) + "\n"
        for s in sources:
            with open(path, "w", encoding="utf-8", newline="") as f:
                f.write(s)
            r = subprocess.run([binary, "template", "--template", path, "--jsonl"], input=line, capture_output=True, text=True)
            try:
                out.append(json.loads(r.stdout))
            except ValueError:
                out.append({"error": {"message": r.stderr.strip()[-300:] or "exit %d" % r.returncode}, "rc": r.returncode})
    return out


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OLIVINE", "build/olivine")
    rng = random.Random(1)
    count = int(os.environ.get("OLIVINE_TEMPLATE_CASES", "1500"))
    sources = SNIPPETS + MULTI + generated(rng)[:count]
    bad = same = errors = 0
    for source, a in zip(sources, ours(binary, sources)):
        ok, want = expected(source)
        if beyond(source, ok, want) or (ok and unsteady(want)):
            continue
        good = a.get("text") == want if ok else "error" in a and a.get("rc", 1) >= 0
        same += good
        errors += good and not ok
        if not good:
            bad += 1
            if bad <= int(os.environ.get("OLIVINE_SHOW", "10")):
                print("  - %r\n      jinja2  %s %r\n      olivine %r" % (source, "gives" if ok else "fails with", want, a.get("text", a.get("error"))))
    print("%s templates/differential (%d cases, of which %d errors; %d differ)" % ("FAIL" if bad else "PASS", same, errors, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
