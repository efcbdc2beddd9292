// Interactive figures, the part every page loads.
// An image with the classes "interactive NAME" becomes live: NAME.js is loaded from beside this file, with d3, the
// stage it stands on and whatever else it needs, and the figure is mounted in the image's place.
// Where scripts are off, or anything fails, the image stays.
(function () {
  "use strict";

  const home = document.currentScript.src;
  const loads = new Map();
  const libraries = new Map();
  const figures = new Map();

  /** Load a file that stands beside this one, once. */
  function load(path, make) {
    if (!loads.has(path)) {
      loads.set(path, new Promise((resolve, reject) => {
        const tag = make(new URL(path, home).href);
        tag.onload = resolve;
        tag.onerror = () => reject(new Error(`could not load ${path}`));
        document.head.append(tag);
      }));
    }
    return loads.get(path);
  }

  const script = (path) => load(path, (src) => Object.assign(document.createElement("script"), { src }));
  const style = (path) => load(path, (href) => Object.assign(document.createElement("link"), { rel: "stylesheet", href }));

  /** A named library: d3, or what NAME.js handed to Figures.provide. */
  async function library(name) {
    await script(name === "d3" ? "../d3/d3.min.js" : `${name}.js`);
    return name === "d3" ? window.d3 : libraries.get(name);
  }

  /** Make one picture live. */
  async function bring(image) {
    const name = image.classList[[...image.classList].indexOf("interactive") + 1];
    const [Stage] = await Promise.all([library("stage"), library("d3"), script(`${name}.js`), style("figures.css")]);
    const { label, needs = [], mount } = figures.get(name);
    const given = await Promise.all(needs.map(library));
    const stage = new Stage({ name, label, description: image.alt });
    mount(stage, ...given);
    stage.open();
    (image.closest("a.image-reference") || image).replaceWith(stage.root);
  }

  window.Figures = {
    /** Figures.define(name, { label, needs: [library, …], mount(stage, library, …) }) */
    define: (name, figure) => figures.set(name, figure),
    /** Figures.provide(name, library): offer a library to figures that need it. */
    provide: (name, value) => libraries.set(name, value),
    library,
  };

  for (const image of document.querySelectorAll("img.interactive")) {
    bring(image).catch((error) => console.error("The figure stays a picture:", error));
  }
})();
