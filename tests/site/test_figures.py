"""What every interactive figure of the built site owes its readers, in a real browser."""

import re

import pytest

from tests.site.figures import GLIDE, NARROW, QUIET, SITE, LiveFigure, opened, placed

FIGURES = sorted(placed())
LOCAL = ("file:", "data:", "blob:")
TOUCH_TARGET = 40  # pixels
MARGIN = 8  # pixels around a control in which its focus may show
STATIC = SITE / "_static"
EXPORT = re.compile(r'export \{([^}]*)\} from "d3-(\w+)"')


@pytest.fixture(scope="module", params=FIGURES)
def tab(browser, request):
    """Open each figure, wide and light, in a tab that many tests share; note what its page asks for."""
    requests = []
    with opened(
        browser, request.param, lambda page: page.on("request", lambda call: requests.append(call.url))
    ) as page:
        live = LiveFigure(page, request.param)
        live.requests = requests
        yield live


def disturb(live):
    """Change all there is to change: the lists, the sliders and the rest, each by a step; give the state."""
    for select in live.find("select").all():
        select.select_option(index=1)
    for control in live.find("input[type=range], [tabindex='0']").all():
        control.press("ArrowLeft")
    return live.state()


def test_there_are_figures():
    """Without a built site the other tests would check nothing."""
    assert FIGURES, f"no interactive figure in {SITE}: run `make site` first"


def test_it_takes_the_place_of_the_picture(live):
    """Inside the same figure, with its caption and its number, and the picture's description."""
    frame = live.page.locator("figure", has=live.root)
    assert frame.locator("figcaption .caption-number").count() == 1
    assert frame.locator("img").count() == 0
    assert len(live.find("desc").first.text_content()) > 20
    assert len(live.root.get_attribute("aria-label")) > 5


def test_it_asks_nothing_of_the_world(live):
    """Everything comes from the disk."""
    assert [url for url in live.requests if not url.startswith(LOCAL)] == []


def test_every_control_has_a_name(live):
    """No control says merely "slider"."""
    for control in live.controls():
        name = control.evaluate(
            "at => at.getAttribute('aria-label') || at.labels?.[0]?.textContent || at.textContent || ''"
        )
        assert name.strip(), control


def test_the_keyboard_reaches_every_control(live):
    """The Tab key goes through all of them, in their order, and out again."""
    controls = live.controls()
    controls[0].focus()
    for control in controls:
        assert control.evaluate("control => control === document.activeElement"), control
        live.page.keyboard.press("Tab")
    assert live.evaluate("figure => !figure.contains(document.activeElement)")


def test_the_keyboard_moves_every_control(live):
    """An arrow key, one way or the other, changes the state."""
    for control in live.find("input, select, [tabindex='0']").all():
        states = [live.state()]
        for key in ("ArrowUp", "ArrowDown"):
            control.press(key)
            states.append(live.state())
        assert states[0] != states[1] or states[1] != states[2], control


def test_the_focus_is_visible(live):
    """A control reached by the keyboard looks different from one that is not."""
    for control in live.controls():
        control.scroll_into_view_if_needed()
        live.page.keyboard.press("Shift")  # from now on focus is the keyboard's
        control.focus()
        box = control.bounding_box()
        clip = {"x": box["x"] - MARGIN, "y": box["y"] - MARGIN}
        clip |= {side: box[side] + 2 * MARGIN for side in ("width", "height")}
        focused = live.page.screenshot(clip=clip, animations="disabled", caret="hide")
        control.evaluate("control => control.blur()")
        assert live.page.screenshot(clip=clip, animations="disabled", caret="hide") != focused, control


def test_lists_choose(live):
    """What is chosen from a list is in the state, and the list shows it."""
    for select in live.find("select").all():
        key = select.get_attribute("name")
        for option in select.locator("option").all():
            value = option.get_attribute("value")
            select.select_option(value)
            assert str(live.state()[key]) == value == select.input_value()


def test_reset(live):
    """One button brings the first state back, whatever has changed, and the controls show it."""

    def shown():
        return [control.input_value() for control in live.find("input, select").all()]

    first, values = live.state(), shown()
    assert disturb(live) != first
    assert shown() != values
    live.reset()
    assert live.state() == first
    assert shown() == values


def test_a_screen_reader_hears_one_sentence(live):
    """Many changes, one sentence, and only when all is still."""
    heard = live.listen()
    disturb(live)
    live.page.wait_for_timeout(QUIET)
    (sentence,) = heard()
    assert sentence.endswith(".") and "undefined" not in sentence and "NaN" not in sentence


def test_reduced_motion(live):
    """For those who asked for less motion every change is drawn at once."""
    disturb(live)
    drawn = live.evaluate("figure => figure.querySelector('.figure-body').innerHTML")
    live.page.wait_for_timeout(GLIDE)
    assert live.evaluate("figure => figure.querySelector('.figure-body').innerHTML") == drawn
    assert live.evaluate("figure => figure.getAnimations({subtree: true}).length") == 0


@pytest.mark.parametrize("name", FIGURES)
def test_a_finger_finds_everything(open_figure, name):
    """On a phone every control is at least 40 px wide and high, and nothing sticks out of the window."""
    live = open_figure(name, viewport=NARROW)
    for control in live.controls():
        box = control.bounding_box()
        assert min(box["width"], box["height"]) >= TOUCH_TARGET, control
        assert box["x"] >= 0 and box["x"] + box["width"] <= NARROW["width"], control


def assert_still_a_picture(page, name):
    """Check that the picture is there, described, and nothing in its place."""
    picture = page.locator(f"figure img.interactive.{name}")
    assert picture.is_visible()
    assert len(picture.get_attribute("alt")) > 20
    assert page.locator(f".live-{name}").count() == 0


@pytest.mark.parametrize("name", FIGURES)
def test_without_scripts_the_picture_stays(browser, name):
    """The page is complete without JavaScript."""
    with opened(browser, name, java_script_enabled=False) as page:
        assert_still_a_picture(page, name)


@pytest.mark.parametrize("script", ["", "not JavaScript", "Figures.define('plane', {mount() { throw Error('no') }})"])
def test_when_it_fails_the_picture_stays(browser, script):
    """A broken script costs the reader nothing."""

    def prepare(page):
        page.add_init_script("console.error = words => { window.complaint ??= String(words); }")
        page.route("**/figures/plane.js", lambda route: route.fulfill(body=script))

    with opened(browser, "plane", prepare) as page:
        page.wait_for_function("window.complaint?.includes('stays a picture')")
        assert_still_a_picture(page, "plane")


def test_pages_without_a_figure_load_no_library(browser):
    """Only a page that has an interactive figure pays for it."""
    context = browser.new_context()
    page, urls = context.new_page(), []
    page.on("request", lambda request: urls.append(request.url))
    page.goto((SITE / "book" / "notation.html").as_uri())
    assert urls
    assert not any("d3.min.js" in url or "stage.js" in url for url in urls)
    context.close()


def exports():
    """Give the functions that the bundle of D3 is made of, by module: {"array": {"max", …}, …}."""
    found = EXPORT.findall((STATIC / "d3" / "modules.js").read_text(encoding="utf-8"))
    return {module: set(re.findall(r"\w+", names)) for names, module in found}


def used_by(scripts):
    """Give the names that scripts use of D3, each with the scripts that do: {"max": {"decay.js"}, …}."""
    used = {}
    for path in scripts:
        for name in re.findall(r"\bd3\.(\w+)\b(?!\.js)", path.read_text(encoding="utf-8")):
            used.setdefault(name, set()).add(path.name)
    return used


def test_d3_holds_what_the_figures_use(browser):
    """Every function of D3 that a figure calls is in the bundle, and the bundle is what its list says."""
    used = used_by((STATIC / "figures").glob("*.js"))
    assert len(used) > 10
    page = browser.new_page()
    page.add_script_tag(path=STATIC / "d3" / "d3.min.js")
    held = set(page.evaluate("Object.keys(window.d3)"))
    page.close()
    assert {name: scripts for name, scripts in used.items() if name not in held} == {}
    assert held == set().union(*exports().values())


def test_d3_holds_no_module_that_no_figure_uses():
    """Functions to spare are cheap; a module is not."""
    used = set(used_by((STATIC / "figures").glob("*.js")))
    modules = exports()
    assert {module for module, names in modules.items() if not names & used} == set()
    first = (STATIC / "d3" / "d3.min.js").read_text(encoding="utf-8").partition("*/")[0]
    assert f"Modules: {', '.join(modules)}." in first


def test_d3_weighs_little():
    """As it is on the disk."""
    assert (STATIC / "d3" / "d3.min.js").stat().st_size < 90_000
