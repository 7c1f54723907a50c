// A person without a mouse: Tab, Enter, and typing. Wherever the focus comes, it must be seen.
import assert from 'node:assert/strict';

const STOPS_MAX = 120;

export class Keyboard {
  constructor(page) { this.page = page; }

  /** Tabs on until the focus is on what the locator finds. */
  async to(locator) {
    const stops = [];
    await locator.first().waitFor();
    if (await this.isOn(locator)) return;
    for (let stop = 0; stop < STOPS_MAX; stop += 1) {
      await this.page.keyboard.press('Tab');
      const at = await this.look();
      stops.push(at.what);
      if (at.isNowhere) continue; // the browser's own bars
      assert.ok(at.isSeen, `the focus cannot be seen on ${at.what} at ${this.page.url()}: ${at.why}`);
      if (await this.isOn(locator)) return;
    }
    assert.fail(`Tab does not come to ${locator} at ${this.page.url()}; it came to\n${stops.join('\n')}`);
  }

  isOn(locator) {
    return locator.first().evaluate((element) => element === document.activeElement);
  }

  look() {
    return this.page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return { isNowhere: true, what: 'nothing' };
      const what = `${element.tagName.toLowerCase()} "${(element.innerText || element.name || '').trim().slice(0, 40)}"`;
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
      const inside = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight;
      const [x, y] = [box.left + Math.min(box.width / 2, 20), box.top + box.height / 2];
      const onTop = document.elementFromPoint(x, y);
      const covered = !onTop || !(element.contains(onTop) || onTop.contains(element));
      const why = [
        outlined || 'it has no outline', inside || 'it is outside of what is shown',
        !covered || `${onTop?.tagName} ${onTop?.className} lies over it`,
      ].filter((word) => word !== true).join(', ');
      return { isSeen: why === '', what, why };
    });
  }

  /** Replaces what stands in a field. */
  async fill(locator, text) {
    await this.to(locator);
    await this.page.keyboard.press('Control+A');
    await this.page.keyboard.type(text);
  }

  /** Presses a button, or follows a link. */
  async press(locator) {
    await this.to(locator);
    await this.page.keyboard.press('Enter');
  }
}
