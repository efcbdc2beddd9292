"""The search box, asked as people ask, over file://."""

import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.site.figures import SITE
from tests.site.test_browser import LOCAL

SHOWN = """list => list.slice(0, 3).map(item => item.querySelector("a").getAttribute("href"))"""
# What a person types, and the pages or sections of which one must be among the first three.
ASKED = {
    "add or concatenate": ["questions#q-add", "sinusoidal#sinusoidal-add-or-concatenate"],
    "positional encoding added not concatenated": ["questions#q-add", "sinusoidal"],
    "10000": ["questions#q-10000", "sinusoidal", "rope"],
    "why 10000": ["questions#q-10000", "sinusoidal#sinusoidal-10000"],
    "both sine and cosine": ["questions#q-both", "sinusoidal#sinusoidal-both"],
    "sine cosine concatenated": ["questions#q-sines-first", "sinusoidal"],
    "sin cos order": ["questions#q-sines-first", "sinusoidal#sinusoidal-layout"],
    "PE(pos+k) linear function": ["questions#q-linear", "sinusoidal#sinusoidal-shift"],
    "sqrt d_model embedding": ["questions#q-sqrt", "sinusoidal#sinusoidal-sqrt-d"],
    "BERT learned position": ["questions#q-learn", "learned"],
    "128 tokens 512 positional embeddings": ["questions#q-128", "questions#q-512", "learned"],
    "sinusoids longer than training": ["questions#q-longer", "sinusoidal#sinusoidal-longer"],
    "NoPE": ["blind#blind-nope"],
    "causal model need positions": ["questions#q-causal", "blind#blind-nope"],
    "rel_shift": ["questions#q-rel-shift", "transformer_xl#xl-rel-shift"],
    "u and v bias": ["questions#q-uv", "transformer_xl#xl-u-and-v"],
    "r_w_bias": ["questions#q-uv", "transformer_xl#xl-u-and-v"],
    "descending positions": ["questions#q-descending", "transformer_xl#xl-order"],
    "position-to-content gather": ["questions#q-deberta", "deberta#deberta-index"],
    "relative_attention_bias": ["t5#t5-layers"],
    "T5 longer than 512": ["questions#q-t5-longer", "t5#t5-far"],
    "Swin bias inner product query": ["questions#q-bias", "shaw#shaw-query", "four_terms"],
    "ALiBi positive": ["questions#q-alibi-row", "four_terms#four-terms-row"],
    "rotate values": ["questions#q-values", "rope#rope-values", "four_terms#four-terms-values"],
    "RoPE values": ["questions#q-values", "rope#rope-values", "four_terms#four-terms-values"],
    "only the query rotated": ["questions#q-only-query", "rope#rope-only-query"],
    "rotating before projection": ["questions#q-before", "rope#rope-projections"],
    "RoPE every layer": ["questions#q-layer", "rope#rope-every-layer"],
    "rotation every head": ["questions#q-heads", "rope#rope-heads"],
    "cross-attention": ["questions#q-cross", "rope#rope-cross-attention", "t5#t5-cross"],
    "rotate_half": ["questions#q-half", "layout#layout-equivalent"],
    "permute": ["questions#q-permute", "layout#layout-permute"],
    "gibberish": ["questions#q-gibberish", "layout#layout-gibberish"],
    "NeoX style": ["layout", "glossary"],
    "partial rotary": ["questions#q-partial", "layout#layout-partial"],
    "long-term decay": ["questions#q-decay", "decay"],
    "rope_theta": ["questions#q-theta", "rope#rope-base", "decay#decay-rope-theta"],
    "linear attention feature map": ["questions#q-linear-attention", "linear_attention"],
    "8k context limit": ["questions#q-limit", "rope#rope-context"],
    "xPos overflow": ["questions#q-xpos", "plane#plane-xpos"],
    "dynamic NTK": ["questions#q-ntk", "precision#precision-dynamic-ntk"],
    "StreamingLLM": ["questions#q-streaming", "precision#precision-move"],
    "left padding": ["questions#q-left-padding", "precision#precision-left-padding", "learned#learned-left-padding"],
    "packing": ["questions#q-packing", "precision#precision-packing", "learned#learned-packing"],
    "bf16": ["precision", "sinusoidal#sinusoidal-precision", "rope#rope-bfloat16", "t5#t5-precision"],
    "inv_freq": ["questions#q-float32", "precision", "rope"],
    "KV cache": ["questions#q-cache", "precision#precision-kv-cache"],
    "complex": ["questions#q-complex", "plane"],
    "precision": ["precision"],
    "fp16": ["precision"],
    "more tokens than rows": ["questions#q-512", "learned#learned-max-length"],
    "replace position embeddings": ["learned#learned-swap"],
    "padding_idx": ["questions#q-514", "learned#learned-roberta-514"],
    "RoBERTa 514": ["questions#q-514", "learned#learned-roberta-514"],
    "position of padding": ["questions#q-padding-row", "learned#learned-padding-position"],
    "batch_first": ["questions#q-bag", "blind#blind-batch-axis"],
    "attn_mask True": ["questions#q-mask", "blind#blind-mask-true"],
    "is_causal": ["questions#q-mask", "blind#blind-mask-corner"],
    "sqrt 3d": ["questions#q-3d", "deberta#deberta-sqrt-3d"],
    "T5 cross-attention bias": ["questions#q-t5-layers", "t5#t5-cross"],
    "T5 sqrt d": ["questions#q-t5-scale", "t5#t5-scale"],
    "absolute and rotary": ["questions#q-two", "four_terms#four-terms-two-encodings"],
    "RoPE before or after attention scores": ["questions#q-diagram", "blind#blind-where"],
    "interleaved better": ["questions#q-better", "layout#layout-better"],
    "q_proj k_proj v_proj": ["questions#q-permute", "layout#layout-permute"],
    "rotary_dim": ["questions#q-partial", "layout#layout-partial", "layout#layout-partial-width"],
    "freqs_cis": ["plane#plane-complex", "questions#q-complex"],
    "GQA": ["layout#layout-gqa", "questions#q-gibberish"],
    "bfloat16 cos sin": ["questions#q-bf16", "precision#precision-bf16-tables"],
    "position of the next token": ["questions#q-cache", "precision#precision-offset"],
    "check my implementation": ["questions#q-check"],
    "skewing": ["shaw#shaw-shift"],
    "YaRN": ["questions"],
    "seqlens": ["precision#precision-packing", "learned#learned-packing"],  # a part of a name of code
}
# Who types a name wants its chapter.
NAMES = {
    "learned positions": "learned",
    "sinusoidal": "sinusoidal",
    "relative position encoding": "shaw",
    "Shaw": "shaw",
    "Transformer-XL": "transformer_xl",
    "T5": "t5",
    "DeBERTa": "deberta",
    "RoPE": "rope",
    "rotary embedding": "rope",
    "rotary position embedding": "rope",
    "RoFormer": "rope",
    "how does RoPE work": "rope",
    "linear attention": "linear_attention",
    "decay": "decay",
    "layout": "layout",
}


@pytest.fixture(scope="module")
def sections():
    """The anchors of each page, and for each anchor those of the sections it stands in or before."""
    found = {}
    for path in SITE.rglob("*.html"):
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        found[path.relative_to(SITE).as_posix()] = {tag["id"]: tag for tag in soup.find_all(id=True)}
    return found


@pytest.fixture(scope="module")
def page(browser):
    """The page of results, and what it does that it should not."""
    context = browser.new_context()
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda line: page.faults.append(line.text) if line.type == "error" else None)
    page.on("request", lambda call: call.url.startswith(LOCAL) or page.faults.append(call.url))
    page.goto((SITE / "search.html").as_uri() + "?q=rope")
    yield page
    context.close()


def results(page, words):
    """Type some words and read where the first three results lead."""
    page.fill("input[type=search]", words)
    return page.eval_on_selector_all(".results li", SHOWN)


def leads_to(link, place, sections):
    """Say whether a link leads to a page, or to the section that has an anchor."""
    path, _, anchor = link.partition("#")
    name, _, wanted = place.partition("#")
    if not path.endswith(f"/{name}.html"):
        return False
    ids = sections[path]
    return not wanted or ids[anchor] is ids[wanted] or ids[wanted] in ids[anchor].find_all(True, recursive=False)


@pytest.mark.parametrize("words", ASKED)
def test_the_answer_is_among_the_first_three(words, page, sections):
    links = results(page, words)
    for link in links:
        path, _, anchor = link.partition("#")
        assert anchor in sections[path], f"{link} leads to no section"
    assert any(leads_to(link, place, sections) for link in links for place in ASKED[words]), links
    assert page.faults == []


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leads_to_its_chapter_first(name, page):
    assert results(page, name)[0].partition("#")[0].endswith(f"/{NAMES[name]}.html")


def test_every_question_of_the_page_finds_itself(page):
    soup = BeautifulSoup((SITE / "book" / "questions.html").read_text(encoding="utf-8"), "html.parser")
    headings = [heading.get_text().rstrip("#") for heading in soup.select("h3")]
    assert len(headings) > 40
    lost = [words for words in headings if not any("questions.html" in link for link in results(page, words))]
    assert lost == []


def test_what_is_typed_is_text(page):
    page.fill("input[type=search]", "<img src=x onerror=document.title='broken'> rope")
    assert page.locator(".results li").count() > 0
    assert page.locator("main img").count() == 0 and "broken" not in page.title()
    assert page.faults == []


def test_results_come_as_one_types(page):
    page.fill("input[type=search]", "")
    assert page.locator(".results li").count() == 0
    page.locator("input[type=search]").press_sequentially("rotat")
    assert page.locator(".results li").count() > 0
    assert "rotat" in page.locator(".found").inner_text()


def test_words_that_say_nothing_find_nothing(page):
    assert results(page, "what is the") == []
    assert page.locator(".found").inner_text().startswith("No places")


def test_the_index_has_no_keys_and_no_holes():
    script = (SITE / "_static" / "search" / "sections.js").read_text(encoding="utf-8")
    entries = json.loads(script[script.index("[") : script.rindex("]") + 1])
    texts = [entry[part] for entry in entries for part in ("text", "title", "chapter")]
    assert all(entry["title"] and entry["chapter"] for entry in entries)
    bibliography = (Path(__file__).parents[2] / "book" / "references.bib").read_text(encoding="utf-8")
    keys = set(re.findall(r"^@\w+\{([^,]+),", bibliography, re.MULTILINE))
    words = {word for text in texts for word in re.findall(r"[\w./-]+", text)}
    assert len(keys) > 50 and len(words) > 1000
    assert not words & keys
    assert [word for word in words if re.match(r"\.\./|(eq|fig|thm)-[a-z]", word)] == []
    assert [text for text in texts if re.search(r"\(\s*\)| [.,;:)]", text)] == []


def test_excerpts_end_with_a_word(page):
    page.fill("input[type=search]", "padding")
    excerpts = page.eval_on_selector_all(".results li p", "list => list.map(item => item.textContent)")
    assert len(excerpts) > 10
    texts = page.evaluate("SECTIONS.map(section => section.text)")
    for excerpt in excerpts:
        words = excerpt.removeprefix("… ").removesuffix(" …").split()
        assert any(f" {' '.join(words)} " in f" {text} " for text in texts), excerpt


def test_no_other_page_has_the_index():
    pages = [path.name for path in SITE.rglob("*.html") if "sections.js" in path.read_text(encoding="utf-8")]
    assert pages == ["search.html"]


def test_the_box_of_any_page_leads_there(browser):
    context = browser.new_context()
    page = context.new_page()
    loaded = []
    page.on("request", lambda call: loaded.append(call.url))
    page.goto((SITE / "book" / "notation.html").as_uri())
    assert not any("/search/" in url for url in loaded)
    for keys in ("/", "Control+k"):
        page.locator("h1").click()
        page.keyboard.press(keys)
        assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("rel_shift")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=rel_shift")
    assert page.locator(".results li").count() > 0
    context.close()
