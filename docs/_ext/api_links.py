"""Inline code that is a public name, or a call of one, becomes a link to its API entry.

`emd`, `od.emd`, `otdist.emd`, `emd(a, b, cost)`, `solve(problem).plan`, `Problem.on_grid` and
`plot.plot_plan` are linked. Attributes without an entry of their own, such as `Result.lower`,
link to their class. A name that two modules have stays text, unless `otdist` itself has it too.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

API = "api/"
PAGES = "api/generated/"
CODE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(\(.*)?", re.DOTALL)


def is_one_call(code):
    """Return whether only attributes follow the bracket that closes the first one."""
    depth = 0
    for k, each in enumerate(code):
        depth += (each in "([{") - (each in ")]}")
        if depth == 0:
            return re.fullmatch(r"(\.\w+)*", code[k + 1 :]) is not None
    return False


def entries_by_name(objects):
    """Return the full name for every short name that only one entry has."""
    known = {
        name: {name}
        for name, entry in objects.items()
        if entry.docname.startswith(API) and not entry.aliased
    }
    for name in list(known):
        if objects[name].objtype == "module":
            continue  # only its full name is linked: `plot` is a word too
        parts = name.split(".")[1:]
        shorter = {".".join(parts[k:]) for k in range(len(parts))}
        if len(parts) > 1 and parts[-2][0].isupper():
            shorter.discard(parts[-1])  # a method is named with its class
        for each in shorter:
            known.setdefault(each, set()).add(name)
    for short, names in known.items():
        if f"otdist.{short}" in names:
            known[short] = {f"otdist.{short}"}
    return {short: names.pop() for short, names in known.items() if len(names) == 1}


def entry_of(text, entries, module=""):
    """Return the full name of the entry that a piece of code stands for, or None."""
    found = CODE.fullmatch(text)
    if found is None or (found[2] and not is_one_call(found[2])):
        return None
    name = re.sub(r"^od\.", "otdist.", found[1])
    for each in (f"{module}.{name}", name):
        if each in entries:
            return entries[each]
    owner, _, attribute = name.rpartition(".")
    own = owner.rpartition(".")[2]
    is_attribute = own[:1].isupper() and not attribute.startswith("_")
    return entries.get(owner) if is_attribute else None


class CodeInDocstrings(SphinxTransform):
    """Text in single backticks, which docstrings use for names, is code."""

    default_priority = 500

    def apply(self, **kwargs):
        for node in list(self.document.findall(nodes.title_reference)):
            node.replace_self(nodes.literal(node.rawsource, node.astext()))


class TrimCode(SphinxTransform):
    """An example that ends with an empty line, as doctest wants it, is shown without."""

    default_priority = 500

    def apply(self, **kwargs):
        for node in self.document.findall(nodes.literal_block):
            text = node.astext()
            if text == node.rawsource and text.endswith("\n"):
                node.rawsource = text.rstrip("\n")
                node[:] = [nodes.Text(node.rawsource)]


class LinkNames(SphinxPostTransform):
    """Link inline code to the API."""

    default_priority = 20
    formats = ("html",)

    def run(self, **kwargs):
        objects = self.env.get_domain("py").objects
        entries = entries_by_name(objects)
        here = self.env.docname
        module = here.removeprefix(PAGES).rpartition(".")[0] if here.startswith(PAGES) else ""
        for node in list(self.document.findall(nodes.literal)):
            if any(isinstance(each, nodes.reference | nodes.title) for each in ancestors(node)):
                continue
            name = entry_of(node.astext(), entries, module)
            if name is None or here == PAGES + name:
                continue
            entry = objects[name]
            link = make_refnode(
                self.app.builder, here, entry.docname, entry.node_id, node.deepcopy(), name
            )
            node.replace_self(link)


def ancestors(node):
    while node.parent is not None:
        node = node.parent
        yield node


def setup(app):
    app.add_transform(CodeInDocstrings)
    app.add_transform(TrimCode)
    app.add_post_transform(LinkNames)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
