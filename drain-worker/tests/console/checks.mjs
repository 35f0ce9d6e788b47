// What a page must not show: untranslated texts, and faint ones.

// Visible texts with a run of two Latin words outside data, which has translate=no.
export const untranslated = (page) => page.evaluate(() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const { parentElement: parent, data } = walker.currentNode;
    if (parent.closest("[translate=no], noscript, script, option:not(:checked)") || !parent.checkVisibility()) continue;
    if (/[A-Za-z]{2,}[ -][A-Za-z]{2,}/.test(data)) found.push(data);
  }
  const named = [...document.querySelectorAll("[aria-label], [placeholder], [title]")].filter((node) => node.checkVisibility() && !node.closest("[translate=no]"))
    .flatMap((node) => [node.ariaLabel, node.placeholder, node.title]).filter((text) => text && /[A-Za-z]{2,} [A-Za-z]{2,}/.test(text) && !/\p{Script=Han}/u.test(text));
  return [...found, ...named];
});

// Visible texts whose contrast with their ground is below 4.5 (WCAG 2.2, 1.4.3); of large ones, below 3.
export const faint = (page) => page.evaluate(() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  // A colour over those below it, as the browser paints it.
  const painted = (colors) => {
    for (const color of colors) {
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const { parentElement: node, data } = walker.currentNode;
    if (!data.trim() || !node.checkVisibility() || node.closest(".unseen, option, :disabled, .skip, noscript")) continue;
    const grounds = [];
    for (let at = node; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const { color, fill, fontSize, fontWeight } = getComputedStyle(node);
    const [low, high] = [painted(grounds), painted([...grounds, node instanceof SVGElement ? fill : color])].map(luminance).sort((left, right) => left - right);
    const isLarge = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && fontWeight >= 700);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < (isLarge ? 3 : 4.5)) found.push(`${data.trim().slice(0, 30)} in ${node.className.baseVal ?? node.className}: ${contrast.toFixed(2)}`);
  }
  return found;
});
