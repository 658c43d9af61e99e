"use strict";

const figures = JSON.parse(document.getElementById("figures").textContent);
const markers = ["circle", "rect", "triangle", "rectRot", "star", "crossRot", "rectRounded", "cross", "dash"];
const drawn = [];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const series = (index) => {
    const all = colour("--series").split(",");
    return all[index % all.length].trim();
};
const isNarrow = () => window.innerWidth < 640;

/** 1.5e12 as "1.5 T". */
function short(value) {
    const units = ["", "k", "M", "G", "T", "P"];
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
        value /= 1000;
        unit++;
    }
    return `${Number(value.toPrecision(3))} ${units[unit]}`.trim();
}

/** Lines of at most so many characters. */
function wrapped(text, width) {
    const lines = [""];
    for (const word of text.split(" ")) {
        const last = lines[lines.length - 1];
        if (last && last.length + word.length >= width) {
            lines.push(word);
        } else {
            lines[lines.length - 1] = last ? `${last} ${word}` : word;
        }
    }
    return lines;
}

function draw(canvas, config) {
    drawn.push(new Chart(canvas, config));
}

function axis(title, more) {
    return {
        title: { display: Boolean(title), text: title, color: colour("--soft") },
        grid: { color: colour("--line") },
        border: { color: colour("--strong") },
        ...more,
        ticks: { color: colour("--soft"), ...more.ticks },
    };
}

function legend() {
    return { position: "bottom", labels: { color: colour("--text"), usePointStyle: true, boxHeight: 7 } };
}

/** A logarithmic axis with lines and labels at powers of ten alone. */
function decades(title, more) {
    return axis(title, {
        type: "logarithmic",
        afterBuildTicks: (scale) => {
            scale.ticks = [];
            for (let power = Math.ceil(Math.log10(scale.min)); 10 ** power <= scale.max; power++) {
                scale.ticks.push({ value: 10 ** power });
            }
        },
        ...more,
        ticks: { callback: short, maxRotation: 0 },
    });
}

function roofline() {
    const { points, ceilings, bandwidth } = figures.roofline;
    const families = [...new Set(points.map((p) => p.family))];
    const xs = points.map((p) => p.x);
    const tops = Object.values(ceilings);
    const right = Math.max(...xs, ...tops.map((t) => (4 * t) / (bandwidth || t)));
    const [from, to] = [Math.min(...xs, 1) / 2, right * 1.5];
    const line = (label, data, index) => ({
        type: "line",
        label,
        data,
        borderColor: colour("--strong"),
        backgroundColor: colour("--strong"),
        borderDash: [[], [8, 4], [2, 3]][index % 3],
        borderWidth: 1.5,
        pointRadius: 0,
        pointHitRadius: 0,
        pointStyle: "line",
    });
    const best = Math.max(...tops, 0);
    const datasets = families.map((family, i) => ({
        label: family,
        data: points.filter((p) => p.family === family),
        borderColor: series(i),
        backgroundColor: series(i),
        pointStyle: markers[i % markers.length],
        pointRadius: 5,
        pointHoverRadius: 8,
        pointBorderWidth: 2,
    }));
    if (bandwidth) {
        const end = best ? Math.min(to, best / bandwidth) : to;
        datasets.push(line(`memory, ${short(bandwidth)}B/s`, [{ x: from, y: from * bandwidth }, { x: end, y: end * bandwidth }], 0));
    }
    Object.entries(ceilings).forEach(([name, top], i) => {
        const start = bandwidth ? top / bandwidth : from;
        datasets.push(line(`${name}, ${short(top)}FLOP/s`, [{ x: start, y: top }, { x: to, y: top }], i + 1));
    });
    draw(document.getElementById("roofline"), {
        type: "scatter",
        data: { datasets },
        options: {
            scales: {
                x: decades("operations per byte", { min: from, max: to }),
                y: decades("operations per second", { suggestedMax: 1.5 * best }),
            },
            plugins: {
                legend: legend(),
                tooltip: {
                    callbacks: {
                        label: ({ raw }) => [raw.name, `${short(raw.y)}FLOP/s, ${Math.round(100 * raw.share)} % of the roofline`],
                    },
                },
            },
        },
    });
}

/** The figure at the end of each bar. */
const ends = {
    id: "ends",
    afterDatasetsDraw(chart) {
        const { ctx, data } = chart;
        ctx.save();
        ctx.font = "11px system-ui, sans-serif";
        ctx.fillStyle = colour("--text");
        ctx.textBaseline = "middle";
        data.datasets.forEach((set, i) => {
            chart.getDatasetMeta(i).data.forEach((bar, j) => {
                const value = set.data[j];
                if (value !== null) {
                    ctx.textAlign = value < 1 ? "right" : "left";
                    ctx.fillText(value.toFixed(value < 10 ? 2 : 1), bar.x + (value < 1 ? -4 : 4), bar.y);
                }
            });
        });
        ctx.restore();
    },
};

function ratios() {
    const place = document.getElementById("ratios");
    if (!place) {
        return;
    }
    place.replaceChildren();
    const all = figures.ratios.flatMap((f) => f.contenders.flatMap((c) => c.values)).filter((v) => v !== null);
    const [low, high] = [Math.min(0.5, ...all) / 1.5, Math.max(2, ...all) * 1.5];
    for (const { family, rows, contenders } of figures.ratios) {
        const title = document.createElement("h3");
        title.textContent = family;
        const box = document.createElement("div");
        box.className = "chart";
        const width = isNarrow() ? 17 : 40;
        const labels = rows.map((r) => wrapped(r, width));
        const some = contenders.filter((c) => c.values.some((v) => v !== null));
        const each = Math.max(18 * some.length + 8, 15 * Math.max(...labels.map((l) => l.length)) + 6);
        box.style.height = `${rows.length * each + 90}px`;
        const canvas = document.createElement("canvas");
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `Ratios of ${family}; the table of rows has the same figures`);
        box.append(canvas);
        place.append(title, box);
        draw(canvas, {
            type: "bar",
            data: {
                labels,
                datasets: some.map((c) => ({
                    label: c.contender,
                    data: c.values,
                    ways: c.ways,
                    base: 1,
                    backgroundColor: series(figures.ratios[0].contenders.findIndex((o) => o.contender === c.contender)),
                    maxBarThickness: 14,
                })),
            },
            options: {
                indexAxis: "y",
                scales: {
                    x: axis("", {
                        type: "logarithmic",
                        min: low,
                        max: high,
                        grid: {
                            color: ({ tick }) => colour(tick.value === 1 ? "--text" : "--line"),
                        },
                        afterBuildTicks: (scale) => {
                            scale.ticks = [];
                            for (let power = Math.ceil(Math.log2(low)); 2 ** power <= high; power++) {
                                scale.ticks.push({ value: 2 ** power });
                            }
                        },
                        ticks: { callback: (value) => Number(value.toPrecision(3)).toString() },
                    }),
                    y: axis("", {
                        grid: { display: false },
                        ticks: { autoSkip: false, color: colour("--text") },
                        afterFit: (scale) => (scale.width = isNarrow() ? 130 : 280), // one line at 1 through all charts
                    }),
                },
                plugins: {
                    legend: legend(),
                    tooltip: {
                        callbacks: {
                            title: (items) => rows[items[0].dataIndex],
                            label: ({ dataset, dataIndex, raw }) => `${dataset.ways[dataIndex]}: ${raw.toFixed(3)} times our time`,
                        },
                    },
                },
            },
            plugins: [ends],
        });
    }
}

function history() {
    const canvas = document.getElementById("history");
    if (!canvas) {
        return;
    }
    const { runs, families } = figures.history;
    const family = document.getElementById("family");
    const measure = document.getElementById("measure").value;
    if (!family.options.length) {
        families.forEach((f) => family.add(new Option(f.family)));
    }
    const relative = (values) => {
        const first = values.find((v) => v !== null);
        return measure === "ratios" ? values : values.map((v) => (v === null ? null : v / first));
    };
    draw(canvas, {
        type: "line",
        data: {
            labels: runs.map((r) => r.split(" ")),
            datasets: families[Math.max(0, family.selectedIndex)].rows.map((row, i) => ({
                label: row.name,
                micros: row.micros,
                data: relative(row[measure]),
                borderColor: series(i),
                backgroundColor: series(i),
                pointStyle: markers[i % markers.length],
                pointRadius: 4,
                spanGaps: true,
            })),
        },
        options: {
            scales: {
                x: axis("", {}),
                y: axis(measure === "ratios" ? "peer's time over ours" : "time relative to the first run", { grace: "10%" }),
            },
            plugins: {
                legend: legend(),
                tooltip: {
                    callbacks: {
                        label: ({ dataset, dataIndex, raw }) =>
                            `${dataset.label}: ${raw.toFixed(3)}, ${Number(dataset.micros[dataIndex].toPrecision(4))} µs`,
                    },
                },
            },
        },
    });
}

function drawAll() {
    drawn.splice(0).forEach((chart) => chart.destroy());
    Chart.defaults.animation = false;
    Chart.defaults.maintainAspectRatio = false;
    Chart.defaults.font.family = "system-ui, sans-serif";
    roofline();
    ratios();
    history();
}

/** A click on a column's name sorts by it; rows without a value stay at the end. */
function sortable(table) {
    const body = table.tBodies[0];
    table.querySelectorAll("thead th").forEach((head, column) => {
        const button = document.createElement("button");
        button.type = "button";
        button.append(...head.childNodes);
        head.append(button);
        button.addEventListener("click", () => {
            const up = head.getAttribute("aria-sort") === "descending";
            table.querySelectorAll("th[aria-sort]").forEach((h) => h.removeAttribute("aria-sort"));
            head.setAttribute("aria-sort", up ? "ascending" : "descending");
            const key = (row) => {
                const cell = row.cells[column];
                return !cell || cell.colSpan > 1 ? "" : cell.dataset.value || cell.textContent;
            };
            const order = (a, b) => (isNaN(a) || isNaN(b) ? String(a).localeCompare(b, "en", { numeric: true }) : a - b);
            const missing = (k) => k === "" || k === "–";
            const rows = [...body.rows].map((row) => ({ row, key: key(row) }));
            rows.sort((a, b) => missing(a.key) - missing(b.key) || (up ? 1 : -1) * order(a.key, b.key));
            body.append(...rows.map((r) => r.row));
        });
    });
}

document.querySelectorAll("table.sortable").forEach(sortable);
for (const id of ["family", "measure"]) {
    document.getElementById(id)?.addEventListener("change", drawAll);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
matchMedia("(max-width: 640px)").addEventListener("change", drawAll);
addEventListener("beforeprint", () => {
    document.documentElement.dataset.print = "";
    drawAll();
});
addEventListener("afterprint", () => {
    delete document.documentElement.dataset.print;
    drawAll();
});
drawAll();
