// The page is whole without this. With it, points can be pointed at or walked through with the arrow keys, and
// families, precisions and boards can be left out of plots and tables.
"use strict";
(() => {
  const all = (selector, under = document) => [...under.querySelectorAll(selector)];
  const tip = document.getElementById("tip");

  // A point's figures are its title, one a line; the browser's own slow tooltip would cover ours.
  const points = all("svg .point");
  for (const point of points) {
    const title = point.querySelector("title");
    point.dataset.tip = title.textContent;
    point.setAttribute("aria-label", title.textContent.replaceAll("\n", ", "));
    point.setAttribute("role", "img");
    point.setAttribute("tabindex", "-1");
    title.remove();
  }

  const hide = () => {
    tip.hidden = true;
    all(".point.lit").forEach((one) => one.classList.remove("lit"));
  };
  const show = (point) => {
    hide();
    // The same variant in the other plots of its family.
    const same = all(".point", point.closest("section")).filter((one) => one.dataset.row === point.dataset.row);
    same.forEach((one) => one.classList.add("lit"));
    const [name, ...figures] = point.dataset.tip.split("\n");
    const heading = document.createElement("strong");
    heading.textContent = name;
    const lines = figures.map((figure) => {
      const line = document.createElement("span");
      line.textContent = figure;
      return line;
    });
    tip.replaceChildren(heading, ...lines);
    tip.hidden = false;
    const place = point.querySelector("circle").getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const left = place.right + 10 + tip.offsetWidth < width ? place.right + 10 : place.left - 10 - tip.offsetWidth;
    const top = Math.max(4, place.top - tip.offsetHeight / 2);
    tip.style.left = `${Math.max(4, left) + scrollX}px`;
    tip.style.top = `${top + scrollY}px`;
  };

  // One stop of the tabulator a plot; the arrow keys go on from there, from cheap to dear.
  const walk = (svg) => all(".point", svg).filter((one) => !one.classList.contains("out"))
    .sort((a, b) => a.dataset.x - b.dataset.x);
  const stop = (svg) => {
    const row = walk(svg);
    const kept = row.find((one) => one.getAttribute("tabindex") === "0") ?? row.find((one) => one.dataset.chosen) ?? row[0];
    all(".point", svg).forEach((one) => one.setAttribute("tabindex", one === kept ? "0" : "-1"));
  };
  const plots = [...new Set(points.map((point) => point.ownerSVGElement))];
  for (const svg of plots) {
    svg.setAttribute("role", "group");
    stop(svg);
    svg.addEventListener("keydown", (event) => {
      const row = walk(svg);
      const at = row.indexOf(event.target);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowUp: at + 1, ArrowDown: at - 1, Home: 0, End: row.length - 1 }[event.key];
      if (at < 0 || to === undefined) return;
      event.preventDefault();
      const next = row[Math.min(Math.max(to, 0), row.length - 1)];
      event.target.setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
  }
  for (const point of points) {
    point.addEventListener("pointerenter", () => show(point));
    point.addEventListener("pointerleave", hide);
    point.addEventListener("focus", () => show(point));
    point.addEventListener("blur", hide);
    point.addEventListener("click", () => show(point));
  }
  addEventListener("keydown", (event) => event.key === "Escape" && hide());

  // The front of what is shown: steps through the points that none is both better and cheaper than.
  const front = (svg) => {
    const lower = svg.dataset.better === "lower";
    let path = "";
    let [best, dear] = [lower ? Infinity : -Infinity, NaN];
    const row = walk(svg).sort((a, b) => a.dataset.x - b.dataset.x || (lower ? 1 : -1) * (a.dataset.y - b.dataset.y));
    for (const point of row) {
      const value = Number(point.dataset.y);
      const x0 = Number(point.dataset.x);
      const kept = (lower ? value < best : value > best) || (value === best && x0 === dear);
      const circle = point.querySelector("circle:not(.chosen)");
      circle.classList.toggle("beaten", !kept);
      if (!kept) continue;
      [best, dear] = [value, x0];
      const [x, y] = [circle.getAttribute("cx"), circle.getAttribute("cy")];
      path += path ? `H${x}V${y}` : `M${x} ${y}`;
    }
    svg.querySelector(".front").setAttribute("d", path);
  };

  addEventListener("beforeprint", () => all("details").forEach((one) => { one.open = true; }));

  const form = document.getElementById("filters");
  if (!form) return;
  form.hidden = false;
  const apply = () => {
    hide();
    const out = new Map();
    for (const box of all("input", form)) {
      if (!out.has(box.name)) out.set(box.name, new Set());
      if (!box.checked) out.get(box.name).add(box.value);
    }
    const left = (one) => [...out].some(([name, values]) => values.has(one.dataset[name]));
    all("[data-family], [data-board]").forEach((one) => one.classList.toggle("out", left(one)));
    for (const svg of plots) {
      front(svg);
      stop(svg);
    }
    const rows = all("tr[data-trial]");
    const shown = rows.filter((row) => !row.closest(".out")).length;
    const choices = shown < rows.length ? " What to ship was chosen among all of them." : "";
    form.querySelector("output").textContent = `${shown} of ${rows.length} variants are shown.${choices}`;
  };
  form.addEventListener("change", apply);
  form.addEventListener("reset", () => setTimeout(apply));
})();
