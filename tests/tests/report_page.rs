//! The report in a real browser: a run of the real programs, its page opened from disk.
//!
//! The README's picture is made by `SCALEBENCH_PICTURES=$PWD/docs cargo test --release --workspace --test report_page
//! -- --ignored readme`; the other tests leave pictures of whole pages there too.

use scalebench::fleet::Part;
use scalebench::report;
use scalebench::store::{RunFile, RunFolder};
use scalebench_tests::browser::{Browser, Screen};
use scalebench_tests::lab::{said, scalebench};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const INSPECT: &str = include_str!("../report/inspect.js");
const DESK: (u32, u32) = (1280, 960);
const TELEPHONE: (u32, u32) = (390, 844);
/// Height of the README's picture.
const PICTURE: u32 = 1_240;
const NASTY: &str = "<script>alert(1)</script>";

const SIZES: [&str; 10] = [
    "d1-w2", "d1-w8", "d1-w32", "d2-w16", "d2-w32", "d2-w64", "d3-w64", "d3-w128", "d5-w128",
    "d10-w128",
];

/// A folder with a run of two families in float32 and int8, with energy and operators.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    &FOLDER
        .get_or_init(|| {
            let dir = tempfile::tempdir().expect("a folder");
            let run = dir.path().join("run");
            let mut command = scalebench(&["run", "--quiet", "--seed", "11"]);
            for size in SIZES {
                command.args(["--variant", &format!("diamonds-mlp/{size}")]);
            }
            command
                .args([
                    "--variant",
                    "garment-detect/w8-d2",
                    "--variant",
                    "garment-detect/w16-d1",
                ])
                .args([
                    "--variant",
                    "garment-detect/w8-d3",
                    "--variant",
                    "garment-detect/w16-d2",
                ])
                .args(["--family", "diamonds-mlp", "--family", "garment-detect"])
                .args(["--precision", "int8", "--precision", "float32"])
                .args(["--board", "local-simulated", "--profile", "50"])
                .arg("--output")
                .arg(&run)
                .arg("--store")
                .arg(dir.path().join("store"));
            let said = said(&mut command);
            assert_eq!(said.code, Some(0), "{said:?}");
            (dir, run)
        })
        .1
}

fn run_file() -> RunFile {
    let folder = RunFolder::open(folder()).expect("a run");
    folder.load().expect("its results")
}

/// The page of a run, in a file of its own.
fn page(file: &RunFile) -> tempfile::NamedTempFile {
    saved(&report::page(file))
}

fn saved(text: &str) -> tempfile::NamedTempFile {
    let page = tempfile::Builder::new()
        .suffix(".html")
        .tempfile()
        .expect("a file");
    fs::write(page.path(), text).expect("room for a page");
    page
}

/// The same run, after a hundred variants of a family with a nasty name.
fn hundred(mut file: RunFile) -> RunFile {
    let many = file
        .plan
        .trials
        .iter()
        .zip(&file.results.trials)
        .filter(|(planned, _)| planned.family == "diamonds-mlp")
        .map(|(planned, result)| (planned.clone(), result.clone()));
    let many: Vec<_> = many.collect();
    (file.plan.trials, file.results.trials) = (0..100)
        .map(|at| {
            let (mut planned, mut result) = many[at % many.len()].clone();
            let grown = 1.0 + (at / many.len()) as f64 * 0.07;
            planned.family = NASTY.to_owned();
            planned.title = format!("{NASTY} & \"more\"");
            planned.variant = format!("{}-{at}</script>", planned.variant);
            (planned.trial, result.trial) = (at as u32, at as u32);
            if let Some(latency) = &mut result.latency {
                for ns in [
                    &mut latency.low_ns,
                    &mut latency.median_ns,
                    &mut latency.high_ns,
                ] {
                    *ns *= grown;
                }
            }
            (planned, result)
        })
        .unzip();
    file
}

/// Everything that is said of a page that is open.
fn faults(browser: &mut Browser, of: &str) -> Vec<String> {
    let seen = browser.value(INSPECT);
    let mut faults = browser.complaints();
    for what in ["overlaps", "outside", "small"] {
        let found = seen[what].as_array().expect("a list");
        faults.extend(found.iter().map(|one| format!("{what}: {one}")));
    }
    if seen["texts"].as_u64() < Some(100) {
        faults.push(format!("only {} texts", seen["texts"]));
    }
    if seen["wider"].as_i64() > Some(0) {
        faults.push(format!("{} pixels wider than its window", seen["wider"]));
    }
    faults
        .iter_mut()
        .for_each(|fault| *fault = format!("{of}: {fault}"));
    faults
}

fn open_all(browser: &mut Browser) {
    browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
}

/// Keeps a picture where `SCALEBENCH_PICTURES` says.
fn keep(browser: &mut Browser, name: &str, height: Option<u32>) {
    if let Some(dir) = std::env::var_os("SCALEBENCH_PICTURES") {
        let picture = browser.picture(height);
        fs::write(Path::new(&dir).join(name), picture).expect("a folder for pictures");
    }
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn a_report_is_sound_on_wide_and_narrow_light_and_dark() {
    let file = run_file();
    let mut browser = Browser::start();
    let mut found = Vec::new();
    for (run, name) in [(file.clone(), "run"), (hundred(file), "hundred")] {
        let page = page(&run);
        for (size, width) in [(DESK, "wide"), (TELEPHONE, "narrow")] {
            for (dark, scheme) in [(false, "light"), (true, "dark")] {
                let of = format!("{name}-{width}-{scheme}");
                let screen = Screen {
                    size,
                    dark,
                    scripts: true,
                };
                browser.open(page.path(), screen);
                found.extend(faults(&mut browser, &of));
                open_all(&mut browser);
                found.extend(faults(&mut browser, &format!("{of}, all open")));
                let drawn = browser.value("[...document.querySelectorAll('.bars, .trace')].length");
                if drawn.as_u64() < Some(run.plan.trials.len() as u64 * 6) {
                    found.push(format!("{of}: {drawn} windows and traces are drawn"));
                }
                keep(&mut browser, &format!("all-{of}.png"), None);
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn the_picture_of_the_readme_shows_what_to_ship() {
    let (_page, mut browser) = on_a_desk();
    // All that the picture is for stands in it.
    let below = browser.value("document.querySelector('.charts').getBoundingClientRect().bottom");
    keep(&mut browser, "report.png", Some(PICTURE));
    assert!(below.as_f64() < Some(f64::from(PICTURE)), "{below}");
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn texts_that_cover_each_other_are_found() {
    let mut browser = Browser::start();
    let screen = Screen {
        size: TELEPHONE,
        dark: false,
        scripts: true,
    };
    let page = page(&run_file());
    browser.open(page.path(), screen);
    browser.value(
        "document.querySelectorAll('svg text.label')[1].setAttribute('x', 60);
         document.querySelector('h1').style.marginBottom = '-20px';
         document.querySelector('h1').style.whiteSpace = 'nowrap';
         document.querySelector('.tick').style.fontSize = '6px';
         console.error('said'); new Image().src = 'http://localhost:9/x.png'; 0",
    );
    let faults = faults(&mut browser, "spoilt").join("\n");
    for wanted in [
        "overlaps: ",
        "outside: ",
        "small: ",
        "wider than",
        "said",
        "x.png",
    ] {
        assert!(faults.contains(wanted), "{wanted}: {faults}");
    }
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn a_family_by_the_name_of_a_script_is_text() {
    let page = page(&hundred(run_file()));
    let mut browser = Browser::start();
    let screen = Screen {
        size: DESK,
        dark: false,
        scripts: true,
    };
    browser.open(page.path(), screen);
    let heading = browser.value("document.querySelector('section h2 span').textContent");
    assert_eq!(heading, Value::from(NASTY));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn the_tabulator_reaches_everything_that_can_be_worked() {
    let (_page, mut browser) = on_a_desk();
    let wanted = browser.value("document.querySelectorAll('summary, input, .scroll').length");
    let wanted = wanted.as_u64().expect("a number");
    assert!(wanted > 10, "{wanted}");
    browser.value("window.reached = new Set(); 0");
    for _ in 0..wanted + 40 {
        browser.press("Tab", 9);
        browser.value("window.reached.add(document.activeElement); 0");
    }
    let missed = browser.value(
        "[...document.querySelectorAll('figure svg:has(.point)')]
            .filter((one) => ![...window.reached].some((reached) => one.contains(reached)))
            .map((one) => one.getAttribute('aria-label'))",
    );
    assert_eq!(
        missed,
        serde_json::json!([]),
        "plots without a point that is reached"
    );
    let missed = browser.value(
        "[...document.querySelectorAll('summary, input, .scroll')]
            .filter((one) => !window.reached.has(one) && one.checkVisibility())
            .map((one) => one.outerHTML.slice(0, 80))",
    );
    assert_eq!(missed, serde_json::json!([]));
}

fn on_a_desk() -> (tempfile::NamedTempFile, Browser) {
    let page = page(&run_file());
    let mut browser = Browser::start();
    let screen = Screen {
        size: DESK,
        dark: false,
        scripts: true,
    };
    browser.open(page.path(), screen);
    (page, browser)
}

/// Where the middle of something is in the window, after scrolling there.
fn place(browser: &mut Browser, selector: &str) -> (f64, f64) {
    let place = browser.value(&format!(
        "(() => {{
            const one = document.querySelector({selector:?});
            one.scrollIntoView({{ block: 'center' }});
            const box = one.getBoundingClientRect();
            return [box.left + box.width / 2, box.top + box.height / 2];
        }})()"
    ));
    (place[0].as_f64().expect("x"), place[1].as_f64().expect("y"))
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn a_point_tells_its_figures_to_mouse_and_keys() {
    let (_page, mut browser) = on_a_desk();
    let tip =
        "(document.getElementById('tip').hidden ? '' : document.getElementById('tip').innerText)";
    assert_eq!(browser.value(tip), "");
    let (x, y) = place(&mut browser, ".point[data-chosen] circle:not(.chosen)");
    browser.point_at(x, y);
    let name = browser.value("document.querySelector('.card.first .name').textContent");
    let said = browser.value(tip);
    let said = said.as_str().expect("a tip");
    assert!(said.starts_with(name.as_str().expect("a name")), "{said}");
    for wanted in ["R² 0.", "±", "latency", "MACs", "energy", "simulated"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let faults = faults(&mut browser, "tip").join("\n");
    assert!(!faults.contains("outside"), "{faults}");
    keep(&mut browser, "tip.png", Some(1_200));
    browser.press("Escape", 27);
    assert_eq!(browser.value(tip), "");
    // To the first plot by the tabulator, and on by the arrows.
    for _ in 0..60 {
        if browser.value("document.activeElement.matches('.point')") == true {
            break;
        }
        browser.press("Tab", 9);
    }
    let label = "document.activeElement.getAttribute('aria-label')";
    let first = browser.value(label);
    assert!(
        first.as_str().expect("a label").contains("latency"),
        "{first}"
    );
    browser.press("ArrowRight", 39);
    let second = browser.value(label);
    assert_ne!(second, first);
    let said = browser
        .value(tip)
        .as_str()
        .map(|tip| tip.replace('\n', ", "));
    assert_eq!(said.as_deref(), second.as_str());
    browser.press("ArrowLeft", 37);
    assert_eq!(browser.value(label), first);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn filters_leave_out_of_plots_and_tables() {
    let (_page, mut browser) = on_a_desk();
    let shown = "['tr[data-trial]', '.point', 'section[data-family]', '.profile', '.overview li'].map((what) =>
        [...document.querySelectorAll(what)].filter((one) => getComputedStyle(one).display !== 'none')
            .map((one) => [one.dataset.family, one.dataset.precision]))";
    let front = "[...document.querySelectorAll('.front')].map((one) => one.getAttribute('d'))";
    let (before, fronts) = (browser.value(shown), browser.value(front));
    let click = |browser: &mut Browser, name: &str| {
        browser.value(&format!(
            "document.querySelector('input[value={name:?}]').click(); 0"
        ));
        browser.value(shown)
    };
    let after = click(&mut browser, "int8");
    for (all, left) in before
        .as_array()
        .into_iter()
        .flatten()
        .zip(after.as_array().into_iter().flatten())
    {
        let kept: Vec<&Value> = all
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one[1] != "int8")
            .collect();
        assert!(!kept.is_empty());
        assert_eq!(
            kept,
            left.as_array().into_iter().flatten().collect::<Vec<_>>()
        );
    }
    assert_ne!(browser.value(front), fronts, "the front of what is left");
    let said = browser.value("document.querySelector('output').textContent");
    let all = browser.value("document.querySelectorAll('tr[data-trial]').length");
    let all = all.as_u64().expect("a number");
    let wanted = format!("{} of {all} variants are shown.", all / 2);
    assert!(said.as_str().expect("words").starts_with(&wanted), "{said}");
    let after = click(&mut browser, "garment-detect");
    assert!(
        after.to_string().contains("diamonds-mlp") && !after.to_string().contains("garment-detect")
    );
    assert_eq!(faults(&mut browser, "filtered"), [""; 0]);
    keep(&mut browser, "filtered.png", Some(1_200));
    browser.value("document.querySelector('button[type=reset]').click(); 0");
    browser.value("new Promise((done) => setTimeout(done, 50))");
    assert_eq!(browser.value(shown), before);
    assert_eq!(
        browser.value(front),
        fronts,
        "the script finds the fronts that the page came with"
    );
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn the_page_is_whole_without_its_script_and_runs_no_other() {
    let page = page(&run_file());
    let mut browser = Browser::start();
    for scripts in [false, true] {
        let screen = Screen {
            size: DESK,
            dark: false,
            scripts,
        };
        browser.open(page.path(), screen);
        assert_eq!(faults(&mut browser, "page"), [""; 0]);
        let filters = browser.value("getComputedStyle(document.getElementById('filters')).display");
        assert_eq!(filters == "none", !scripts);
    }
    // What would slip through the escaping is stopped by the page's own policy.
    browser.value(
        "window.ran = false;
         const slipped = document.createElement('div');
         slipped.innerHTML = '<img src=\"data:,\" onerror=\"window.ran = true\"><b onclick=\"window.ran = true\">b</b>';
         document.body.append(slipped);
         slipped.querySelector('b').click();
         const script = document.createElement('script');
         script.textContent = 'window.ran = true';
         document.body.append(script);
         new Promise((done) => setTimeout(done, 200))",
    );
    assert_eq!(browser.value("window.ran"), false);
    let said = browser.complaints().join("\n");
    assert!(said.contains("Content Security Policy"), "{said}");
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn boards_of_one_run_can_be_left_out() {
    let file = run_file();
    let refusals = std::collections::BTreeMap::new();
    let part = |name, trouble| Part {
        name,
        file: &file,
        trouble,
        refusals: &refusals,
    };
    let parts = [
        part("local", None),
        part("shed", Some("the cable was pulled")),
    ];
    let page = saved(&report::fleet(&parts));
    let mut browser = Browser::start();
    for size in [DESK, TELEPHONE] {
        let screen = Screen {
            size,
            dark: false,
            scripts: true,
        };
        browser.open(page.path(), screen);
        open_all(&mut browser);
        assert_eq!(faults(&mut browser, "fleet"), [""; 0]);
    }
    let shown = "[...document.querySelectorAll('[data-board]')]
        .filter((one) => getComputedStyle(one).display !== 'none').map((one) => one.dataset.board).sort()";
    let before = browser.value(shown);
    browser.value("document.querySelector('input[value=shed]').click(); 0");
    let after = browser.value(shown);
    let count = |value: &Value, name| {
        let names = value.as_array().into_iter().flatten();
        names.filter(|one| *one == name).count()
    };
    assert_eq!(count(&before, "local"), count(&before, "shed"));
    assert_eq!(
        (count(&after, "local"), count(&after, "shed")),
        (count(&before, "local"), 0)
    );
    let said = browser.value("document.querySelector('output').textContent");
    let trials = file.plan.trials.len();
    let wanted = format!("{trials} of {} variants are shown.", 2 * trials);
    assert!(said.as_str().expect("words").starts_with(&wanted), "{said}");
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn drawings_are_sound_files_of_their_own() {
    let drawings = report::drawings(&hundred(run_file()));
    assert!(drawings.len() >= 200, "{}", drawings.len());
    let dir = tempfile::tempdir().expect("a folder");
    let mut browser = Browser::start();
    let screen = Screen {
        size: DESK,
        dark: true,
        scripts: true,
    };
    // The plots of quality, and of one variant what happens inside its windows.
    for drawing in drawings.iter().take(5) {
        let path = dir.path().join(&drawing.name);
        fs::write(&path, &drawing.svg).expect("room for a drawing");
        browser.open(&path, screen);
        let name = &drawing.name;
        let root = browser.value("document.documentElement.localName");
        assert_eq!(root, "svg", "{name} is no sound XML");
        let scripts = browser.value("document.getElementsByTagName('script').length");
        assert_eq!(scripts, 0, "{name}");
        let ground = browser.value("getComputedStyle(document.querySelector('.tick')).fill");
        assert_eq!(
            ground, "rgb(91, 101, 112)",
            "{name}: light, whatever the reader prefers"
        );
        assert_eq!(browser.complaints(), [""; 0], "{name}");
        keep(&mut browser, &format!("{}.png", drawing.name), Some(480));
    }
}

#[test]
#[ignore = "needs Debian's chromium, and a minute"]
fn on_paper_everything_is_there_and_light() {
    let page = page(&run_file());
    let mut browser = Browser::start();
    let screen = Screen {
        size: DESK,
        dark: true,
        scripts: true,
    };
    browser.open(page.path(), screen);
    browser.call(
        "Emulation.setEmulatedMedia",
        serde_json::json!({
            "media": "print",
            "features": [{ "name": "prefers-color-scheme", "value": "dark" }],
        }),
    );
    let looks = browser.value(
        "[getComputedStyle(document.body).color,
          getComputedStyle(document.getElementById('filters')).display]",
    );
    assert_eq!(looks, serde_json::json!(["rgb(23, 27, 32)", "none"]));
    let asked = serde_json::json!({ "printBackground": true, "preferCSSPageSize": true });
    let printed = browser.call("Page.printToPDF", asked);
    assert!(
        printed["data"]
            .as_str()
            .is_some_and(|data| data.len() > 50_000)
    );
    // Sections that were shut are open on paper.
    let open = browser.value("[...document.querySelectorAll('details')].every((one) => one.open)");
    assert_eq!(open, true);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_command_writes_plots_and_tables() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mut command = scalebench(&["run", "--quiet", "--seed", "3", "--family", "diamonds-mlp"]);
    command
        .args([
            "--variant",
            "d1-w2",
            "--variant",
            "d1-w4",
            "--precision",
            "int8",
        ])
        .args([
            "--windows",
            "2",
            "--output",
            &path("run"),
            "--store",
            &path("store"),
        ]);
    let ran = said(&mut command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let wrote = said(&mut scalebench(&[
        "report",
        &path("run"),
        "--svg",
        &path("plots"),
        "--latex",
        &path("tables.tex"),
        "--markdown",
        "-",
    ]));
    assert_eq!(wrote.code, Some(0), "{wrote:?}");
    assert_eq!(wrote.out.matches("\n| d1").count(), 2, "{}", wrote.out);
    assert!(wrote.out.contains("This was the local virtual board"));
    let latex = fs::read_to_string(path("tables.tex")).expect("LaTeX");
    assert!(
        latex.contains("\\toprule") && latex.contains("d1-w4 & int8 & "),
        "{latex}"
    );
    for name in [
        "diamonds-mlp-latency.svg",
        "diamonds-mlp-macs.svg",
        "diamonds-mlp-d1-w2-int8-latencies.svg",
    ] {
        let svg = fs::read_to_string(dir.path().join("plots").join(name)).expect(name);
        assert!(
            svg.contains("<desc>this was the local virtual board"),
            "{name}"
        );
    }
    let refused = said(&mut scalebench(&[
        "report",
        &path("run"),
        "--latex",
        &path("no/such/folder.tex"),
    ]));
    assert_eq!(refused.code, Some(5));
    assert!(
        refused.err.contains("check the path, its permissions"),
        "{refused:?}"
    );
}
