// Evaluated in the report's page: every text that is seen, where it stands, and which two cover each other.
(() => {
  const shown = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.display === "none" || style.visibility === "hidden" || style.opacity === "0") return false;
    }
    return element.closest("details:not([open])") === null || element.closest("summary") !== null;
  };
  // What of a box the reader can see: an ancestor that scrolls cuts off what stands beyond its edges.
  const seen = (element, box) => {
    let { left, top, right, bottom } = box;
    for (let one = element; one && one !== document.body; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.overflowX === "visible" || one instanceof SVGElement) continue;
      const edge = one.getBoundingClientRect();
      left = Math.max(left, edge.left);
      right = Math.min(right, edge.right);
      top = Math.max(top, edge.top);
      bottom = Math.min(bottom, edge.bottom);
    }
    return right - left > 1 && bottom - top > 1 ? { left, top, right, bottom } : null;
  };
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    const text = node.data.trim();
    if (!text || parent.closest("script, style, title, desc") || !shown(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      const part = seen(parent, box);
      if (part) texts.push({ text, size: parseFloat(getComputedStyle(parent).fontSize), ...part, parent });
    }
  }
  // The boxes of glyphs are higher than the glyphs: an eighth above and below is air.
  const air = (t) => t.size / 8;
  const covers = (a, b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom - air(a), b.bottom - air(b)) - Math.max(a.top + air(a), b.top + air(b)) > 1;
  const overlaps = [];
  texts.sort((a, b) => a.top - b.top);
  texts.forEach((a, at) => {
    for (let next = at + 1; next < texts.length && texts[next].top < a.bottom; next++) {
      const b = texts[next];
      if (covers(a, b)) overlaps.push(`"${a.text}" and "${b.text}" at ${Math.round(a.left)}, ${Math.round(a.top)}`);
    }
  });
  const width = document.documentElement.clientWidth;
  const outside = texts
    .filter((t) => t.left < -1 || t.right > width + 1)
    .map((t) => `"${t.text}" from ${Math.round(t.left)} to ${Math.round(t.right)}`);
  const small = texts
    .map((t) => {
      const matrix = t.parent.getScreenCTM ? t.parent.getScreenCTM() : null;
      return { text: t.text, size: t.size * (matrix ? matrix.a : 1) };
    })
    .filter((t) => t.size < 9)
    .map((t) => `"${t.text}" is ${t.size.toFixed(1)} pixels high`);
  return {
    texts: texts.length,
    overlaps,
    outside,
    small,
    wider: document.documentElement.scrollWidth - width,
    scripts: document.querySelectorAll("script").length,
  };
})()
