"""Writes jinja_cases.json: small templates and what Jinja itself makes of them.

Run with Jinja 3.1 installed: python3 jinja_cases.py. The environment has the settings with which Hugging Face
transformers renders chat templates; lists and mappings may be changed, as the published templates need.
"""
import datetime
import json
import os

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import SandboxedEnvironment

VARS = {
    "messages": [
        {"role": "system", "content": " Be brief. "},
        {"role": "user", "content": "héllo <b>&\"' 漢字 🙂"},
        {"role": "assistant", "content": None, "n": 1, "f": 1.0, "big": 12345678901234567890123},
        {"role": "user", "content": "<think>\na\n</think>\n\nb", "tags": ["x", "Y", "x", "z"]},
    ],
    "n": 7, "neg": -7, "f": 2.5, "small": 1e-7, "large": 1e16, "whole": 3.0, "t": True, "no": False, "nil": None,
    "s": "Hello, World", "empty": "", "l": [3, 1, 2], "nested": [[1, [2]], {"a": None}],
    "d": {"b": 1, "a": [1, 2], "C": {"x": "y"}}, "uni": "añb漢🙂z", "q": "it's", "qq": "it's \"so\"",
    "people": [{"name": "bo", "age": 3, "in": {"c": "u"}}, {"name": "Al", "age": 5, "in": {"c": "v"}},
               {"name": "cy", "age": 3}],
}

CASES = {}


def group(name, text):
    for i, line in enumerate(text.strip("\n").split("\n")):
        CASES[f"{name}/{i + 1}"] = line.replace("⏎", "\n").replace("⇥", "\t")


group("literals", r"""
{{ 1 }} {{ 1.5 }} {{ 1e3 }} {{ 1_000 }} {{ 0x1f }} {{ 0b101 }} {{ 0o17 }} {{ 1E-5 }} {{ 123456789012345678901234567890 }}
{{ 'a' "b" 'c' }}{{ "\n\t\\\"\'\x41\u00e9\101\q" }}
{{ true }} {{ True }} {{ false }} {{ none }} {{ None }}
{{ [1, 'a', none, true, 1.0] }} {{ (1,) }} {{ () }} {{ (1, 2) }} {{ {} }} {{ {'a': 1, 2: 'b', none: [], 1.5: ()} }} {{ [] }}
{{ 1, 2 }} {{ [1, 2, ] }} {{ {'a': 1, } }}
{{ "it's" }} {{ ["it's", 'say "x"', "both ' and \"", "\n\t\\", "\x00\x7f\u00a0é漢"] }}
{{ messages[2].big }} {{ messages[2].f }} {{ messages[2].n }} {{ [small, large, whole, 1e15, 123456.789, 0.0001, 1e22] }}
{{ {1: 'a', 1.0: 'b', true: 'c'} }}
""")
group("arithmetic", r"""
{{ 7 / 2 }} {{ 6 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }}
{{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1 + 1.0 }} {{ 0.1 + 0.2 }} {{ 9007199254740993 + 0 }} {{ 9223372036854775807 + 1 }} {{ 3000000000 * 4000000000 }}
{{ -9223372036854775808 // -1 }} {{ -(-9223372036854775808) }} {{ 10 ** 25 // 3 }} {{ -(10 ** 25) % 7 }} {{ (-1) ** 7 }} {{ 0 ** 0 }}
{{ -n }} {{ +n }} {{ - - n }} {{ -n|abs }} {{ 1 - -1 }} {{ n -1 }}
{{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ 'ab' * -1 }} {{ [1, 2] * 2 }} {{ (1,) * 2 }} {{ 'a' + 'b' }} {{ [1] + [2] }} {{ (1,) + (2,) }}
{{ 1 ~ 'a' ~ none ~ 1.0 ~ [1] }} {{ '1' + 2 ~ 3 }} {{ undefinedvar ~ 'x' }}
{{ 1 + 2 ~ 3 }}
{{ true + 1 }} {{ true * 3 }} {{ 1.5 + true }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ [1] + (2,) }}
{{ undefinedvar + 1 }}
{{ none + 'a' }}
{{ '%s-%d-%5.2f|%-5s|%05d|%x|%r|%%' % ('a', 3, 2.5, 'b', 42, 255, 'q') }} {{ '%(a)s' % {'a': 1} }} {{ '%s' % 5 }} {{ '%g %g %g' % (1e10, 0.5, 1e-5) }}
{{ '%d' % 'a' }}
{{ '%s' % (1, 2) }}
""")
group("compare", r"""
{{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' == 'a' }} {{ [1, 2] == [1, 2] }} {{ (1, 2) == [1, 2] }} {{ {'a': 1} == {'a': 1.0} }} {{ none == none }} {{ 'a' != 'b' }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 3 > 2 >= 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ [1] <= [1] }} {{ 'a' >= 'a' }} {{ 1.5 > 1 }}
{{ 'a' in 'abc' }} {{ 1 in [1, 2] }} {{ 'b' in d }} {{ 'x' not in d }} {{ 1 in (1,) }} {{ '' in 'a' }} {{ 'a' in undefinedvar }} {{ 2 in range(3) }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ 1 in 'abc' }}
{{ 1 in 5 }}
{{ undefinedvar < 1 }}
{{ undefinedvar == undefinedvar2 }} {{ undefinedvar == none }} {{ undefinedvar != 1 }}
{{ not 1 == 2 }} {{ not true }} {{ not not 1 }} {{ 1 and 2 }} {{ 0 and 2 }} {{ 0 or 'x' }} {{ '' or none }} {{ 1 or 2 and 3 }} {{ not 0 and 1 }}
{{ 'a' if 1 else 'b' }} {{ 'a' if 0 else 'b' }} {{ 'a' if 0 }}| {{ ('a' if 1) ~ 'x' }} {{ 'a' if 0 else 'b' if 0 else 'c' }} {{ ['a' if t else 'b', 1] }}
""")
group("access", r"""
{{ d.b }} {{ d['b'] }} {{ d.a[0] }} {{ d.a[-1] }} {{ d.a.0 }} {{ d.C.x }} {{ d.missing }}| {{ d['missing'] }}| {{ l[10] }}| {{ l[-10] }}|
{{ d.missing.more }}
{{ undefinedvar.x }}
{{ undefinedvar['x'] }}
{{ undefinedvar() }}
{{ none.x }}| {{ n.x }}| {{ s.x }}| {{ nil['a'] }}|
{{ s[0] }} {{ s[-1] }} {{ s[1:3] }} {{ s[:-3] }} {{ s[::-1] }} {{ s[::2] }} {{ s[10:2:-3] }} {{ s[100:] }}| {{ s[-100:2] }} {{ s[:0] }}|
{{ uni[1] }} {{ uni[3] }} {{ uni[::-1] }} {{ uni[2:5] }} {{ uni[-2:] }} {{ uni[4] }} {{ uni|length }}
{{ l[1:] }} {{ l[::-1] }} {{ l[::2] }} {{ l[-2:] }} {{ l[5:] }} {{ l[2:0:-1] }} {{ (1, 2, 3)[1:] }} {{ l[none:none] }} {{ range(10)[2:8:3] }} {{ range(5)[-1] }}
{{ l[::0] }}
{{ l['a':] }}
{{ d.items() }} {{ d.keys() }} {{ d.values() }} {{ d['items'] is callable }} {{ d.get('b') }} {{ d.get('x') }} {{ d.get('x', 9) }}
{{ 's'.upper() }} {{ 's'['upper']() }} {{ d.a.index(2) }} {{ l.count(3) }}
{{ l() }}
{{ s.upper(1) }}
{{ d['a']['b'] }}| {{ l['x'] }}| {{ l[1.5] }}| {{ d[l] }}|
""")
group("strings", r"""
[{{ '  a b '.strip() }}] [{{ 'xxaxx'.strip('x') }}] [{{ '  a '.lstrip() }}] [{{ '  a '.rstrip() }}] [{{ 'abcba'.lstrip('ab') }}] [{{ 'a\n\n'.rstrip('\n') }}] [{{ ' a'.strip(none) }}]
{{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ ' a  b c '.split() }} {{ ' a  b c '.split(none, 1) }} {{ 'abc'.split('x') }} {{ ''.split(',') }} {{ ''.split() }} {{ 'a b'.split(' ')[-1] }}
{{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ 'a b c'.rsplit() }} {{ 'a\nb\r\nc\n'.splitlines() }} {{ 'a\nb'.splitlines(true) }}
{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('x') }} {{ 'abc'.rpartition('x') }}
{{ 'abc'.startswith('a') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('c') }} {{ 'abc'.endswith('') }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('bc') }}
{{ 'aaa'.replace('a', 'b') }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'ab'.replace('', '-') }} {{ 'aaa'.count('a') }} {{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') }} {{ 'abc'.find('z') }} {{ uni.find('z') }}
{{ 'hello world'.title() }} {{ "it's a-b".title() }} {{ 'hELLO wORLD'.capitalize() }} {{ 'aBc'.swapcase() }} {{ 'ABC'.lower() }} {{ 'é'.upper() }} {{ 'ABC'.casefold() }}
{{ ','.join(['a', 'b']) }} {{ ','.join('abc') }} {{ 'a'.ljust(3) }}| {{ 'a'.rjust(3, '-') }} {{ 'a'.center(4, '*') }} {{ 'ab'.center(5, '*') }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }}
{{ 'abc'.isalpha() }} {{ 'ab1'.isalnum() }} {{ '12'.isdigit() }} {{ ' '.isspace() }} {{ 'a'.islower() }} {{ 'A'.isupper() }} {{ ''.isalpha() }} {{ '12'.isnumeric() }} {{ '1'.isdecimal() }}
{{ '{} and {}'.format(1, 'b') }} {{ '{1}{0}'.format('a', 'b') }} {{ '{x}'.format(x=3) }} {{ '{{}}'.format() }} {{ '{:.2f}|{:5d}|{:,}|{!r}'.format(1.234, 42, 1234567, 'q') }}
{{ 'abc'.index('z') }}
{{ ','.join([1]) }}
{{ 'a'.split('') }}
{{ '{'.format() }}
""")
group("collections", r"""
{% set x = [1] %}{{ x.append(2) }} {{ x }} {{ x.pop() }} {{ x }} {{ x.extend([5, 6]) }} {{ x.insert(0, 9) }} {{ x.insert(-1, 8) }} {{ x }} {{ x.pop(0) }} {{ x.remove(5) }} {{ x }} {{ x.reverse() }} {{ x }} {{ x.sort() }} {{ x }} {{ x.copy() }} {{ x.clear() }} {{ x }}
{% set m = {'a': 1} %}{{ m.update({'b': 2}) }} {{ m.update(c=3) }} {{ m }} {{ m.pop('a') }} {{ m.pop('z', 0) }} {{ m.setdefault('b', 7) }} {{ m.setdefault('q', 7) }} {{ m }} {{ m.copy() }} {{ m.popitem() }} {{ m }} {{ m.clear() }} {{ m }}
{{ [].pop() }}
{{ {}.pop('a') }}
{{ [1].remove(2) }}
{{ {[]: 1} }}
{{ dict(a=1, b=2) }} {{ dict([('x', 1)]) }} {{ dict({'a': 1}, b=2) }} {{ dict() }}
{{ range(3) }} {{ range(3)|list }} {{ range(1, 7, 2)|list }} {{ range(3, 0, -1)|list }} {{ range(0) | list }} {{ range(5)|length }} {{ range(1, 2, 3) }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for v in d.values() %}{{ v }}{% endfor %} {{ d.keys()|list }} {{ 'b' in d.keys() }}
{% set m = {} %}{% for i in range(20) %}{% set _ = m.update({i: i * i}) %}{% endfor %}{{ m }} {{ m.pop(3) }} {{ m[4] }} {{ m|length }}
{{ range(1000000) }}
""")
group("filters", r"""
{{ '<a href="x">\'&' | tojson }} {{ 'é漢🙂\n\t\x01\x7f' | tojson }} {{ 'é漢🙂\x7f' | tojson(ensure_ascii=true) }} {{ d | tojson }} {{ nested | tojson }} {{ [] | tojson }} {{ {} | tojson }}
{{ d | tojson(indent=2) }} {{ [[], {}, [1]] | tojson(indent=4) }} {{ l | tojson(indent=0) }} {{ {'a': 1} | tojson(indent='--') }}
{{ d | tojson(sort_keys=true) }} {{ d | tojson(separators=(',', ':')) }} {{ d | tojson(indent=1, separators=(',', '=')) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true, indent=2) }}
{{ [1, 1.0, 1e100, true, none, 'a', (1, 2), small, 12345678901234567890123] | tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}
{{ undefinedvar | tojson }}
{{ namespace() | tojson }}
{{ '  a '|trim }}| {{ 'xax'|trim('x') }} {{ 5|trim }} {{ none|trim }} {{ 'ab'|upper }} {{ 'AB'|lower }} {{ 'hello wORLD'|capitalize }} {{ "hello-world it's (ok)"|title }} {{ 5|string + 'a' }} {{ none|string }}
{{ l|length }} {{ 'abc'|length }} {{ d|count }} {{ undefinedvar|length }} {{ l|first }} {{ l|last }} {{ 'abc'|first }} {{ 'abc'|last }} {{ []|first }}| {{ []|last }}|
{{ 5|length }}
{{ none|length }}
{{ undefinedvar|default('x') }} {{ ''|default('x') }}| {{ ''|default('x', true) }} {{ none|default('x') }} {{ none|d('x', boolean=true) }} {{ undefinedvar|default }}| {{ d.missing|default([]) }}
{{ l|join(', ') }} {{ l|join }} {{ people|join('-', attribute='name') }} {{ 'abc'|join('.') }} {{ [1, none, 'a']|join('|') }} {{ undefinedvar|join(',') }}|
{{ l|sort }} {{ l|sort(reverse=true) }} {{ ['b', 'A', 'c']|sort }} {{ ['b', 'A', 'c']|sort(case_sensitive=true) }} {{ people|sort(attribute='age')|map(attribute='name')|list }} {{ people|sort(attribute='age,name')|map(attribute='name')|list }} {{ people|sort(true, attribute='name')|map(attribute='name')|join }}
{{ [1, 'a']|sort }}
{{ d|dictsort }} {{ {'b': 1, 'a': 2}|dictsort(by='value') }} {{ d|dictsort(true) }} {{ {'b': 1, 'a': 2}|dictsort(reverse=true) }} {% for k, v in {'z': 1, 'y': 2}|dictsort %}{{ k }}{{ v }}{% endfor %}
{{ d|items|list }} {{ undefinedvar|items|list }} {% for k, v in d|items %}{{ k }},{% endfor %}
{{ l|items|list }}
{{ people|map(attribute='name')|list }} {{ people|map(attribute='in.c', default='-')|list }} {{ ['a', 'b']|map('upper')|list }} {{ [[1, 2], [3]]|map('first')|list }} {{ [[1, 2], [3, 4]]|map(attribute=1)|list }} {{ [' a ']|map('trim')|join }} {{ ['a']|map('replace', 'a', 'b')|list }} {{ none|map('upper')|list }}
{{ people|selectattr('age', 'equalto', 3)|map(attribute='name')|list }} {{ people|rejectattr('age', '==', 3)|map(attribute='name')|list }} {{ people|selectattr('in')|map(attribute='name')|list }} {{ people|selectattr('in', 'defined')|list|length }} {{ people|selectattr('in', 'undefined')|list|length }}
{{ people|selectattr('in.c', 'eq', 'u')|map(attribute='name')|list }}
{{ l|select('odd')|list }} {{ l|reject('equalto', 1)|list }} {{ l|select('>', 1)|list }} {{ [0, 1, '']|select|list }} {{ [0, 1, '']|reject|list }} {{ ['a', 1]|select('string')|list }} {{ [1, 2]|select('in', [2])|list }} {{ none|selectattr('a')|list }}
{{ 'yes' if []|select else 'no' }} {{ 'yes' if [] else 'no' }}
{{ 'a-b-a'|replace('a', 'x') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 5|replace(5, 6) }} {{ ['b', 'a', 'B', 'b']|unique|list }} {{ ['b', 'B']|unique(true)|list }} {{ people|unique(attribute='age')|map(attribute='name')|list }}
{{ 'a\nb\n\nc'|indent }}| {{ 'a\nb'|indent(2, true) }}| {{ 'a\n\nb'|indent(2, blank=true) }}| {{ 'a\nb\n'|indent('>') }}| {{ ''|indent }}|
{{ '42'|int }} {{ ' 42 '|int }} {{ '4.7'|int }} {{ 4.7|int }} {{ -4.7|int }} {{ 'x'|int }} {{ 'x'|int(5) }} {{ '1f'|int(base=16) }} {{ '0x1f'|int(0, 16) }} {{ none|int }} {{ true|int }} {{ '1_000'|int }} {{ l|int(-1) }}
{{ '4.5'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 3|float }} {{ 'inf'|float }} {{ none|float }} {{ '1e3'|float }}
{{ -5|abs }} {{ -1.5|abs }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 2.1|round(0, 'ceil') }} {{ 2.9|round(method='floor') }} {{ 42|round }} {{ 1234.5|round(-2) }} {{ l|sum }} {{ people|sum(attribute='age') }} {{ [0.1, 0.2]|sum(start=1) }}
{{ l|max }} {{ l|min }} {{ ['b', 'A']|max }} {{ ['b', 'A']|min }} {{ people|max(attribute='age') }} {{ []|max }}|
{{ l|reverse|list }} {{ 'abc'|reverse }} {{ (1, 2)|list }} {{ 'ab'|list }} {{ d|list }} {{ l|list }} {{ [1, 2, 3]|batch(2)|list }} {{ [1, 2, 3]|batch(2, 'x')|list }}
{{ 'a b-c d_e'|wordcount }} {{ 'abcdefghij klm'|truncate(10) }} {{ 'abcdefghij klm'|truncate(5, true, leeway=0) }} {{ 'ab cdefghijkl'|truncate(8, leeway=0) }} {{ 'abc'|truncate(3) }} {{ 'a'|center(3) }}| {{ '%s %s'|format('a', 1) }} {{ '%(x)s'|format(x=2) }}
{{ '<&>'|e }} {{ '<b>'|safe }} {{ 'x'|safe + '<' }} {{ '<' + 'x'|safe + '>' }} {{ ('x'|safe) ~ '<' }} {{ 'x'|safe == 'x' }} {{ 'x'|safe|upper + '<' }} {{ '<'|e|e }} {{ ('a'|safe).upper() + '"' }} {{ {'a': 1}['a'|safe] }} {{ 'A'|safe is string }}
{{ d|attr('items') is callable }} {{ s|attr('nope') }}|
{% if no %}{{ 1|nosuchfilter }}{% endif %}ok {{ 1 if true else 2|nosuchfilter }} {{ 1|nosuchfilter if no else 'x' }}
{{ 1|nosuchfilter }}
{% if t %}{{ 1|nosuchfilter }}{% endif %}
{{ 'abc'|upper('x') }}
{{ 'a'|replace('b') }}
""")
group("formats", r"""
{{ '%i|%+d|% d|%-6d|%06d|%o|%X|%#x|%c|%c|%e|%E|%.3g|%G|%F|%a|%.2s|%10.3f' % (1, 2, 3, 4, -5, 8, 255, 255, 65, 'b', 12345.678, 0.5, 1234.5, 1e-7, 1.5, 'x', 'abc', 3.14159) }}
{{ '%d %d %s' % (2.9, true, none) }} {{ '%f %g' % (1e400, -1e400) }} {{ '%g %g %g %g' % (100000, 1000000, 0.0001, 1.50) }}
{{ '{:d} {:x} {:b} {:o} {:e} {:g} {:%} {:+} {:08.3f} {:,.2f} {:>3}'.format(1, 255, 5, 8, 12.5, 0.1, 0.25, 3, 3.14159, 12345.678, 7) if no else '{:d} {:x} {:b} {:o} {:e} {:g} {:%} {:+} {:08.3f} {:,.2f}'.format(1, 255, 5, 8, 12.5, 0.1, 0.25, 3, 3.14159, 12345.678) }}
{{ '{:5}|{:5}|{!s:5}|{a!r}|{:.3}|{:5}'.format('a', 1.5, none, 2.25, true, a='q') }}
{{ '%s %s' % ('a',) }}
{{ '%z' % 1 }}
{{ '%(a)d' % 5 }}
{{ '%(b)s' % {'a': 1} }}
{{ '%x' % 'a' }}
{{ '%c' % 'ab' }}
{{ '%' % 1 }}
{{ '{}{}'.format(1) }}
{{ '{a}'.format(1) }}
{{ '{!z}'.format(1) }}
{{ '{:q}'.format(1) }}
{{ '}'.format(1) }}
{{ '%s-%s'|format(1) }}
{{ '%s'|format(1, x=2) }}
""")
group("more errors", r"""
{{ dict(1, 2) }}
{{ dict([1]) }}
{{ namespace(5) }}
{{ range() }}
{{ range('a') }}
{{ range(1.5) }}
{{ range(1, 2, 0) }}
{{ cycler() }}
{{ loop.index }}
{% for x in l %}{{ loop(x) }}{% endfor %}
{% for x in l %}{{ loop.cycle() }}{% endfor %}
{{ n|dictsort }}
{{ undefinedvar|dictsort }}
{{ d|dictsort(by='x') }}
{{ l|map(attribute='a', zz=1)|list }}
{{ l|map('nosuchfilter')|list }}
{{ l|select('nosuchtest')|list }}
{{ people|selectattr()|list }}
{{ (x for x in l) }}
{{ n|join }}
{{ n|list }}
{{ n|first }}
{{ ['a']|sum }}
{{ 'a'|abs }}
{{ none|round }}
{{ 2|round(1, 'nope') }}
{{ 'abc'|truncate(1) }}
{{ -'a' }}
{{ +'a' }}
{{ -undefinedvar }}
{{ s * 's' }}
{{ s - 1 }}
{{ l[1:'a'] }}
{{ n[1:] }}
{{ s.join(5) }}
{{ s.startswith(1) }}
{{ s.center(9, 'ab') }}
{{ l.index(99) }}
{{ l.pop(99) }}
{{ {}.popitem() }}
{{ d.get() }}
{{ d.get([]) }}
{{ m(**5) }}
{{ dict(**{1: 2}) }}
{{ dict(*5) }}
{{ 2 is divisibleby('a') }}
{{ 'a' is even }}
{{ {1: 2, (1, 2): 3} | tojson }}
{{ l | tojson(separators=(1, 2)) }}
{{ strftime_now() }}
{{ strftime_now(5) }}
{{ raise_exception() }}
{{ 10 ** 400 / 3.5 }}
{{ 0.0 ** -1 }}
{{ 1.5 // 0 }}
""")
group("more values", r"""
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.reset() }}{{ c.current }} {% set j = joiner() %}{{ j() }}{{ j() }} {{ d.C|attr('x') }}| {{ range(9).index(4) }} {{ (1, 2, 1).count(1) }} {{ range(3) == range(0, 3) }} {{ range(0) == range(5, 1) }}
{{ d.keys() == d.keys()|list }} {{ 1 in d.values() }} {{ d.values()|length }} {{ d.items()|list|length }} {{ 'yes' if d.keys() }} {{ 'no' if {}.items() else 'empty' }} {{ range(0) or 'e' }} {{ (1,) and 't' }} {{ namespace() and 'ns' }} {{ 0.0 or 'z' }}
{{ (d|items|first)[0] }} {% set g = l|map('string') %}{{ g|first }}{{ g|list }}{{ g|list }} {{ l|map('string')|join('-') }} {{ range(4)|last }} {{ d|first }} {{ d|last }} {{ range(3)|reverse|list }} {{ range(6)[::2]|list }} {{ range(6)[::-2]|list }}
{{ 7|default(3) }} {{ false|default(3, true) }} {{ 'é'|upper }} {{ 'ß'|lower }} {{ 1e300 * 1e10 }} {{ -1e300 * 1e10 }} {{ 5 // 0.3 }} {{ 5 % -0.3 }} {{ 2 ** 0.5 }} {{ 4 ** -2 }} {{ 2 ** 100 }} {{ -2 ** 2 }}
{{ '9' * 30 | int }} {{ ('9' * 30)|int + 1 }} {{ ('1' + '0' * 25)|int // 10 ** 20 }} {{ ('9' * 30)|int == ('9' * 30)|int }} {{ {10 ** 20: 'big'}[10 ** 20] }} {{ 10 ** 20 in [10 ** 20] }} {{ -(10 ** 20) }} {{ (10 ** 20)|abs }} {{ (10 ** 20)|float }} {{ 10 ** 20 < 1e21 }} {{ [10 ** 20]|tojson }}
{{ l|length > 2 and l[0] == 3 or none }} {{ people[0]['in'].c }} {{ people|map(attribute='in')|select|list|length }}
{{ '%s' % namespace(a=1) }} {{ namespace({'a': 1}).a }} {{ dict(d, z=1)|length }} {{ d.a is sequence and d.a is not string }} {{ d.C is mapping }} {{ loop is defined }} {{ [namespace]|length }}
""")
group("tests", r"""
{{ s is defined }} {{ undefinedvar is defined }} {{ undefinedvar is undefined }} {{ d.x is not defined }} {{ nil is none }} {{ nil is not none }} {{ undefinedvar is none }} {{ d.a.0 is defined }}
{{ s is string }} {{ n is string }} {{ n is number }} {{ f is number }} {{ t is number }} {{ n is integer }} {{ t is integer }} {{ f is float }} {{ t is boolean }} {{ n is boolean }} {{ t is true }} {{ 1 is true }} {{ no is false }} {{ 0 is false }}
{{ d is mapping }} {{ l is mapping }} {{ l is sequence }} {{ s is sequence }} {{ d is sequence }} {{ n is sequence }} {{ nil is sequence }} {{ l is iterable }} {{ s is iterable }} {{ n is iterable }} {{ undefinedvar is iterable }} {{ undefinedvar is sequence }} {{ d.items() is sequence }} {{ d.items() is iterable }} {{ d.items() is mapping }} {{ range(3) is sequence }} {{ (1, 2) is sequence }}
{{ 4 is even }} {{ 4 is odd }} {{ 3 is odd }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 1 is eq 1 }} {{ 1 is equalto(1) }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 2 is ge 2 }} {{ 1 is in [1] }} {{ 'a' is in('abc') }} {{ 1 is sameas 1 }} {{ none is sameas none }} {{ 'ab' is lower }} {{ 'AB' is upper }} {{ range is callable }} {{ 1 is callable }}
{{ s is string and n is number or no }} {{ not s is string }} {{ s is not string }} {{ s is string == true }} {{ 'x' if s is string else 'y' }}
{{ n is nosuchtest }}
{{ n is divisibleby 0 }}
{% for x in l if x is odd %}{{ x }}{% endfor %} {{ [l is defined, 1] }} {{ (l is defined) }}
""")
group("statements", r"""
{% if n == 7 %}a{% elif n == 8 %}b{% else %}c{% endif %}{% if no %}x{% elif t %}y{% endif %}{% if no %}z{% endif %}
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}
{% for x in [] %}a{% else %}none{% endfor %} {% for x in l %}a{% else %}none{% endfor %} {% for x in undefinedvar %}a{% else %}u{% endfor %}
{% for x in nil %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for a, b in [(1, 2), [3, 4], 'xy'] %}{{ a }}{{ b }} {% endfor %}{% for (a, (b, c)) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for a, b in [(1,)] %}{% endfor %}
{% for x in range(10) if x % 2 %}{{ x }}{{ loop.index }}{{ loop.last }} {% endfor %}{% for x in l if x > 5 %}{% else %}nothing{% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %} {% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}
{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{% endfor %} {% for c in 'añ🙂' %}{{ c }}.{% endfor %}
{% for x in [[1, [2, [3]]], 4] recursive %}{% if x is sequence %}({{ loop.depth }}{{ loop(x) }}){% else %}{{ x }}{% endif %}{% endfor %}
{% set x = 1 %}{% for i in l %}{% set x = i %}{{ x }}{% endfor %}{{ x }} {% if t %}{% set x = 5 %}{% endif %}{{ x }}
{% set ns = namespace(a=1, b=[]) %}{% for i in l %}{% set ns.a = ns.a + i %}{% set ns.c = i %}{% endfor %}{{ ns.a }}{{ ns.c }}{{ ns.zz }} {{ ns['a'] }} {{ ns.b }}
{% set d.x = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}{% set (p, q) = [5, 6] %}{{ p }}{{ q }}{% set z = 1, %}{{ z }}
{% set x %}a{{ n }}b{% endset %}{{ x }}{{ x|length }}{% set y | upper | trim %} abc {% endset %}{{ y }}{% set x %}{% set inner = 3 %}{% endset %}{{ inner }}|
{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(a=5) }} {{ m(1, c=9) }} {{ m() }}| {{ m(1, b='x') }}{{ m.name }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}{% macro k(a, *b) %}{% endmacro %}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}{{ m(*[1, 2], **{'y': 4}) }}
{% macro fact(n) %}{% if n <= 1 %}1{% else %}{{ n * (fact(n - 1)|int) }}{% endif %}{% endmacro %}{{ fact(20) }}
{% macro outer() %}<{{ caller() }}>{% endmacro %}{% call outer() %}in{{ n }}{% endcall %}{% macro o2() %}{{ caller(1, b=2) }}{% endmacro %}{% call(a, b) o2() %}{{ a }}{{ b }}{% endcall %}
{% set g = 1 %}{% macro m() %}{{ g }}{% set g2 = 3 %}{{ g2 }}{% endmacro %}{% set g = 2 %}{{ m() }}{{ g2 }}| {% for i in l %}{% macro q() %}{{ i }}{% endmacro %}{{ q() }}{% endfor %}
{% filter upper %}abc{{ s }}{% endfilter %} {% filter replace('a', 'b') | trim %} aaa {% endfilter %}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set n = 3 %}{{ n }}{% endwith %}{{ n }}{{ a }}| {% with %}x{% endwith %}
{% generation %}a{{ n }}{% endgeneration %} {% raw %}{{ x }}{% if %}{% endraw %}
{% set j = joiner(', ') %}{{ j() }}a{{ j() }}b {% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}
{{ raise_exception('bad roles: ' ~ n) }}
{{ strftime_now('%Y-%m-%d %H:%M:%S %d %b %B %a %A %y %j %p %I %e %F %T %% %-d %-m %u %w %U %W %V %G %D %R %f %z%Z') }}
{% for x in l %}{% set y = loop %}{{ y.index }}{% for z in l %}{{ y.index }}{{ loop.index }}{% endfor %} {% endfor %}
{% macro a(x) %}{% if x %}[{{ a(x[1:]) }}]{% endif %}{% endmacro %}{{ a('abcd') }}
{% if undefinedvar %}a{% else %}b{% endif %}{% if not undefinedvar %}c{% endif %}{% if undefinedvar is defined and undefinedvar.x.y %}{% endif %}d
{% for m in messages %}{{ m.role }}:{{ m['content'] }}:{{ m.tags }};{% endfor %}
{% for m in messages %}{% if m.content is string and '</think>' in m.content %}{{ m.content.split('</think>')[-1].lstrip('\n') }}|{{ m.content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') }}{% endif %}{% endfor %}
{% for m in messages[::-1] %}{{ m.role[0] }}{% endfor %} {{ (messages|length - 1) - 2 }} {{ messages[-1].role }} {{ messages[messages|length - 1]['role'] }} {{ messages|map(attribute='role')|unique|list }}
""")
group("whitespace", r"""
a⏎{% if t %}⏎b⏎{% endif %}⏎c
a⏎  {% if t %}  ⏎  b⏎  {% endif %}  ⏎c
a⏎  {%- if t -%}⏎  b⏎  {%- endif -%}⏎ c
a⏎  {%+ if t %}⏎b⏎  {%+ endif +%}⏎c
a  {# c #}⏎b⏎  {# c #}⏎c {#- x -#}  ⏎ d
a⏎  {{ n }}⏎  {{- n -}}⏎  b
{% raw %}  {{ a }}⏎{% endraw %}⏎b⏎  {%- raw -%}  {% x %} {%- endraw -%}  ⏎c
a⏎⏎{% set x = 1 %}⏎⏎b⏎
a⏎⏎
⏎a⇥ {% if t %}x{% endif %}
⇥{% if t %}⏎⇥x⏎⇥{% endif %}
x{% if t %} y{% endif %}⏎z
{{ '}}' }}{{ "{% x %}" }}{{ {'a': {'b': 1}} }}{# }} %} #}
{{+ n }} {{ n-}} x {{-n }}
{% if t %}⏎  {% for x in l %}⏎    {{ x }}⏎  {% endfor %}⏎{% endif %}⏎
a { b } {⏎c {{ '{' }} {#⏎comment⏎#}⏎d
""")
group("more filters", r"""
{% for g, xs in people|groupby("age") %}{{ g }}:{{ xs|map(attribute="name")|join(",") }};{% endfor %}
{% for g in people|groupby("in.c", default="-") %}{{ g.grouper }}={{ g.list|length }} {{ g[0] }} {% endfor %}{{ (people|groupby("age"))[0] }}
{{ ["b", "A", "a", "B"]|map("upper")|list }}{% for g in [{"k": "b"}, {"k": "A"}, {"k": "a"}]|groupby("k") %}{{ g.grouper }}{{ g.list|length }}{% endfor %}
{% for g in [{"k": "b"}, {"k": "A"}, {"k": "a"}]|groupby("k", case_sensitive=true) %}{{ g.grouper }}{{ g.list|length }}{% endfor %}
{% for g in [{"k": 1}, {"k": "a"}]|groupby("k") %}{% endfor %}
{% for g in people|groupby("in.c") %}{{ g.grouper }}{% endfor %}
{{ range(10)|slice(3)|list }} {{ range(10)|slice(4, "x")|list }} {{ [1]|slice(3, 0)|list }} {{ []|slice(2)|list }}
{{ "a b/c?d=é&ü"|urlencode }} {{ {"a b": "c/d", "x": 1}|urlencode }} {{ [("q", "a+b")]|urlencode }} {{ 7|urlencode }} {{ ""|urlencode }}
{{ [1]|urlencode }}
{{ "<p>a  <b>b</b>⏎&amp; &lt;x&gt; <!-- no --> c &eacute;</p> 1 < 2"|striptags }}
{{ 0|filesizeformat }} {{ 1|filesizeformat }} {{ 999|filesizeformat }} {{ 1000|filesizeformat }} {{ 1234567|filesizeformat }} {{ 1e30|filesizeformat }}
{{ 1023|filesizeformat(true) }} {{ 1024|filesizeformat(true) }} {{ 123456789012|filesizeformat(binary=true) }} {{ "5000"|filesizeformat }}
{{ {"a": 1, "b": none, "c": 'x"<', "d": nope}|xmlattr }}|{{ {"a": 1}|xmlattr(false) }}|{{ {}|xmlattr }}|{{ {"a": none}|xmlattr }}
{{ "s"|xmlattr }}
{{ {"b": [1, {"z": 1, "y": 2}], "a": (none, 1.5)}|pprint }} {{ "it's"|pprint }} {{ 7|pprint }}
{{ "<a>"|forceescape }} {{ "<a>"|safe|forceescape }} {{ "<a>"|e is escaped }} {{ "<a>" is escaped }} {{ "<"|safe is escaped }}
{{ "upper" is filter }} {{ "nope" is filter }} {{ "odd" is test }} {{ "nope" is test }} {{ "random" is filter }}
{{ "The quick brown fox jumps over the lazy dog, again and again"|wordwrap(20) }}
{{ "a well-known mother-in-law e-mail x-y 2-3 pre--post word--word"|wordwrap(10) }}
{{ "abcdefghijklmnopqrstuvwxyz 12"|wordwrap(10) }}|{{ "abcdefghijklmnopqrstuvwxyz 12"|wordwrap(10, false) }}
{{ "one⏎two three four⏎⏎five   six"|wordwrap(9, wrapstring=" / ") }}
{{ "   lead and    trail   "|wordwrap(8) }}| {{ "ab-cd-ef-gh-ij-kl-mn-op"|wordwrap(9) }}| {{ "ab-cd-ef-gh-ij-kl-mn-op"|wordwrap(9, break_on_hyphens=false) }}
{{ "漢字漢字漢字 über-schön --- a--b 'q'--r"|wordwrap(6) }}
{{ "x"|wordwrap(0) }}
{{ ""|wordwrap }}
{% if no %}{{ s|urlize }}{{ s|random }}{% endif %}ok
""")
group("python", r"""
{{ s.find("o", 5) }} {{ s.find("l", -4, -1) }} {{ s.rfind("o", 0, 5) }} {{ s.find("", 99) }} {{ s.find("", 12) }} {{ uni.find("z", 2) }} {{ uni.index("b", -4) }}
{{ s.count("l", 3) }} {{ s.count("l", 3, -2) }} {{ uni.count("", 2) }} {{ s.startswith("l", 2) }} {{ s.startswith("l", 2, 4) }} {{ s.endswith("o", 0, 5) }} {{ s.startswith(("x", "W"), 7) }} {{ s.startswith("", 99) }}
{{ s.index("zz", 3) }}
{{ s.find("o", "a") }}
{{ "a\tbc\td\n\te".expandtabs() }}|{{ "a\tb".expandtabs(4) }}|{{ "a\tb".expandtabs(0) }}|{{ "é\tb".expandtabs(tabsize=3) }}
{{ s.isascii() }}{{ uni.isascii() }}{{ "".isascii() }} {{ s.istitle() }}{{ "Ab cD".istitle() }}{{ "1".istitle() }} {{ s.isprintable() }}{{ "a\n".isprintable() }} {{ "a_1".isidentifier() }}{{ "1a".isidentifier() }}{{ "".isidentifier() }}{{ "é".isidentifier() }}
{{ "straße ﬁn İ"|upper }} {{ "STRASSE İ ΣΑΣ"|lower }} {{ "ß ﬁ ǆ"|capitalize }} {{ "ß ﬁ ǆ"|title }} {{ "ß ﬁx ǆa o'b".title() }} {{ "ß ﬁ ẞ".casefold() }} {{ "ßA".swapcase() }} {{ "ßa".capitalize() }}
{{ l.index(1, 1) }} {{ [1, 2, 1].index(1, 1) }} {{ (1, 2, 1).index(1, -1, 9) }}
{{ [1, 2, 1].index(1, 1, 2) }}
{{ "{:>5}|{:<5}|{:^6}|{:*^9}|{:é>4}|{:=+5d}|{:05d}|{:<05d}".format(1, "a", "b", "ab", "c", 3, -4, 5) }}
{{ "{:,}|{:_}|{:n}|{:c}|{:%}|{:.2%}|{:#b}|{:e}|{:.3}|{:10}|{:10}|".format(1234567, 1234567, 5, 65, 0.5, 0.123, 5, 1234.5, "abcdef", "a", 1) }}
{{ "{a}{b[x]}{c[1]}{0[0]}".format(l, a=1, b={"x": 2}, c=(3, 4)) }} {{ "{:{}}|{:{w}.{p}f}|".format("a", 4, 1.5, w=7, p=2) }} {{ "{!s:>4}{!r:<6}|".format(1, "a") }} {{ "{:>6}{:<6}|".format(true, true) }}
{{ "{:d}".format(1.5) }}
{{ "{:s}".format(1) }}
{{ "{:d}".format("a") }}
{{ "{a[}".format(a=1) }}
{{ "{a.nope}".format(a=1) }}
{{ "{:{}".format(1) }}
{{ people|sort(attribute="nope")|map(attribute="name")|join }} {{ people|sort(attribute="nope,age")|map(attribute="name")|join }} {{ "b"|sort(attribute="x") }} {{ [d]|max(attribute="nope")|length }}
{{ (1, 2) in d }} {{ (1, 2) not in d }}
{{ 17|round(-1) }} {{ 25|round(-1) }} {{ 35|round(-1) }} {{ -15|round(-1) }} {{ 12345678901234567890|round(-3) }} {{ 17.5|round(-1) }}
{{ "x"|filesizeformat }}
{{ l|filesizeformat }}
{{ 3.0 is divisibleby(3) }} {{ 3.5 is divisibleby 3 }} {{ 7 is divisibleby 3.5 }}
{{ "1_000"|int(0, 16) }} {{ "1_0"|int(base=2) }} {{ "0x_f"|int(0, 16) }}
{{ nope|attr("name") }}
{% for i in l %}{{ loop }}{% endfor %}
{% autoescape false %}{{ "<" }}{% set q = 1 %}{% endautoescape %}
{% block head %}a{% set q = 1 %}{{ s }}{% endblock %}{{ q }}{% block tail scoped %}b{% endblock tail %}
{% if no %}{% include "x" %}{% import "y" as y with context %}{% from "z" import a as b, c %}{% extends "w" %}{% endif %}ok
{% include "x" ignore missing %}
{% extends "x" %}
{% include %}
{% block %}{% endblock %}
""")
group("syntax", r"""
{{ 1
{% if t %}
{% if t %}{% endfor %}
{% endif %}
{{ (1 }}
{{ 1 + }}
{% for x l %}{% endfor %}
{% set 1 = 2 %}
{% set true = 2 %}
{{ 'abc }}
{# abc
{% raw %}abc
{{ a b }}
{% nosuch %}
{% break %}
{{ f(a=1, 2) }}
{{ [1, 2 }}
{{ {'a' 1} }}
{{ a. }}
{{ a[] }}
{{ a | }}
{{ a is }}
{{ $ }}
{% macro m(a=1, b) %}{% endmacro %}
{% macro m(a %}{% endmacro %}
{{ }}
{% %}
{{ ) }}
""")


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body", []), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    env = SandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    now = datetime.datetime(2026, 11, 22, 7, 5, 9, 123456)
    env.globals["strftime_now"] = now.strftime
    return env


def main():
    out = []
    for name, source in CASES.items():
        row = {"name": name, "template": source}
        try:
            row["output"] = environment().from_string(source).render(**json.loads(json.dumps(VARS)))
        except Exception as e:
            row["error"] = f"{type(e).__name__}: {e}"
        out.append(row)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "jinja_cases.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"jinja": jinja2.__version__, "vars": VARS, "cases": out}, f, ensure_ascii=False, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
