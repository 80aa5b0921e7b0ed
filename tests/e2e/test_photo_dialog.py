"""A drawing without a detectable face, in a real Chromium: it is refused, its face is marked by mouse and keys, and
then it speaks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO

import pytest
from PIL import Image, ImageDraw
from playwright.async_api import Browser, FilePayload, Locator, Page, expect

from tests.e2e.browser import BARRIERS, CHROMIUM, chromium, opened_page
from tests.live_server import LiveServer

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
TIMEOUT_MS = 30_000
WIDTH_PX, HEIGHT_PX = 320, 400
# The places of the seven points in the drawing below, in px.
PARTS = {
    "chin": (160, 369),
    "left_eye": (90, 150),
    "right_eye": (230, 150),
    "mouth_left": (135, 310),
    "mouth_right": (185, 310),
    "upper_lip": (160, 307),
    "lower_lip": (160, 313),
}
PLACE = "e => [Number(e.style.getPropertyValue('--x')), Number(e.style.getPropertyValue('--y'))]"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


def drawing() -> FilePayload:
    """Return a face of three strokes in a box. The face detector does not find it."""
    picture = Image.new("RGB", (WIDTH_PX, HEIGHT_PX), (242, 205, 90))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((60, 40, 260, 370), fill=(120, 200, 170), outline=(20, 40, 40), width=4)
    for x in (90, 230):
        draw.line((x - 15, 150, x + 15, 150), fill=(20, 20, 30), width=4)
    draw.line((135, 310, 185, 310), fill=(20, 20, 30), width=5)
    png = BytesIO()
    picture.save(png, "PNG")
    return {"name": "drawing.png", "mimeType": "image/png", "buffer": png.getvalue()}


async def drag(page: Page, handle: Locator, x: float, y: float) -> None:
    """Drag a handle beside its middle until its point is at x, y (fractions of the picture). The point must not jump
    when the drag begins.
    """
    grip, picture = await handle.bounding_box(), await page.locator(".place-points .picture").bounding_box()
    assert grip is not None
    assert picture is not None
    from_x, from_y = await handle.evaluate(PLACE)
    taken_x, taken_y = grip["x"] + grip["width"] / 2 + 3, grip["y"] + grip["height"] / 2 - 3
    await page.mouse.move(taken_x, taken_y)
    await page.mouse.down()
    await page.mouse.move(
        taken_x + (x - from_x) * picture["width"], taken_y + (y - from_y) * picture["height"], steps=3
    )
    await page.mouse.up()
    assert await handle.evaluate(PLACE) == pytest.approx([x, y], abs=0.004)


async def test_a_face_that_is_not_found_can_be_marked_and_speaks(server: LiveServer, browser: Browser) -> None:
    async with opened_page(browser, server.sign_in_address(), expected="status of 40") as page:
        await page.set_viewport_size({"width": 390, "height": 780})
        dialog, refusal, make = (
            page.locator("dialog.place-points"),
            page.locator(".upload.failed"),
            page.get_by_role("button", name="Make the avatar"),
        )
        offer = page.get_by_role("button", name="Mark the face")
        await expect(page.locator(".avatar.add")).to_be_enabled(timeout=TIMEOUT_MS)
        await page.get_by_label("Photo for a new avatar").set_input_files(drawing())
        await expect(refusal).to_contain_text("No face found", timeout=TIMEOUT_MS)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390

        await offer.click()
        assert await page.evaluate(BARRIERS) == []
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(offer).to_be_focused()

        await page.keyboard.press("Enter")
        chin = page.locator("[data-point=chin]")
        await drag(page, chin, 0.5, 0.1)
        await make.click()
        await expect(dialog.get_by_role("alert")).to_have_text("The chin is not below the mouth.", timeout=TIMEOUT_MS)
        assert await chin.evaluate(PLACE) == pytest.approx([0.5, 0.1], abs=0.004), "a refusal must keep the points"

        for name, (x, y) in PARTS.items():
            await drag(page, page.locator(f"[data-point={name}]"), x / WIDTH_PX, y / HEIGHT_PX)
        lip = page.locator("[data-point=lower_lip]")
        before = await lip.evaluate(PLACE)
        await lip.focus()
        await page.keyboard.press("ArrowDown")
        assert await lip.evaluate(PLACE) == pytest.approx([before[0], before[1] + 0.005], abs=1e-4)
        box = await dialog.evaluate("e => [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight]")
        assert box == [0, 0], "the dialog does not fit a phone"

        await make.click()
        report = page.locator(".photo-report")
        await expect(report).to_have_attribute("data-verdict", "fair", timeout=TIMEOUT_MS)
        await report.get_by_text("Details").click()
        await expect(report).to_contain_text("by hand")
        # the new avatar speaks the greeting
        await expect(page.locator(".chip [role=status]")).to_have_text("Speaking", timeout=TIMEOUT_MS)
        await expect(page.locator(".avatar[aria-pressed=true]")).to_contain_text("My avatar")
        # its picture is private, and the browser shows it by its signed address
        picture = page.locator(".avatar[aria-pressed=true] img")
        assert "&s=" in (await picture.get_attribute("src") or "")
        assert await picture.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") == 500
        async with page.expect_request("**/v1/avatars?characters_only=true"):
            await picture.evaluate("(img) => { img.src += '0'; }")  # as if it had expired
        assert await page.evaluate(BARRIERS) == []
