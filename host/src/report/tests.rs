use super::*;
use crate::aggregate::Aggregate;
use crate::example;

#[test]
fn everything_a_board_says_is_escaped() {
    let mut file = example::run_file();
    let board = file.results.board.as_mut().unwrap();
    board.machine = "<script>alert(1)</script>".to_owned();
    board.engine = "\"><img src=x>".to_owned();
    file.results.printed.push("<b>login:</b>".to_owned());
    let page = page(&file);
    for forbidden in ["<script>alert", "<img", "<b>login"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("&lt;b&gt;login:&lt;/b&gt;"));
}

#[test]
fn seeded_weights_have_their_words_where_quality_would_stand() {
    let mut file = example::run_file();
    let said = |file: &RunFile| page(file).matches(crate::table::UNMEASURED).count();
    assert_eq!(said(&file), 0);
    for planned in &mut file.plan.trials {
        planned.weights = scalebench_models::Weights::Seeded;
    }
    let done = file.results.trials.iter();
    let done = done
        .filter(|result| result.status == crate::results::Status::Done)
        .count();
    assert!(done > 0);
    // In each row of what was measured, and once among the remarks.
    assert_eq!(said(&file), done + 1);
}

#[test]
fn int8_quality_is_held_against_what_the_manifest_states() {
    let mut file = example::run_file();
    let at = file
        .plan
        .trials
        .iter()
        .position(|planned| planned.variant == "w8");
    let at = at.unwrap();
    file.plan.trials[at].precision = scalebench_models::Precision::Int8;
    let id = file.plan.trials[at].trial;
    let result = file
        .results
        .trials
        .iter_mut()
        .find(|result| result.trial == id);
    result.unwrap().quality.as_mut().unwrap().value = Some(0.75);
    let said = |file: &RunFile, words: &str| page(file).matches(words).count();
    let mut referred = |reference, samples| {
        file.plan.trials[at].reference_quality = reference;
        file.plan.trials[at].samples = samples;
        file.clone()
    };
    let equal = "in 1 of 1 variant<";
    assert_eq!(said(&referred(Some(0.750_000_9), 0), equal), 1);
    // One sample of a million.
    let other = "in 0 of 1 variant; otherwise: digits/w8 int8 (0.750000, not 0.750002)";
    assert_eq!(said(&referred(Some(0.750_002), 0), other), 1);
    // A part of the samples, or no figure to be held against.
    assert_eq!(
        said(
            &referred(Some(0.75), 100),
            "reference kernels, to six decimals"
        ),
        0
    );
    assert_eq!(
        said(&referred(None, 0), "reference kernels, to six decimals"),
        0
    );
}

#[test]
fn the_page_needs_no_network_and_all_but_the_controls_are_there_without_its_script() {
    let page = page(&example::run_file());
    for forbidden in ["http://", "https://", "@import", "url(", "fetch("] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let (whole, after) = page.split_once("<script>").unwrap();
    assert!(
        !after.contains("<script"),
        "one script, the last thing on the page"
    );
    for wanted in [
        "<title>w16 float32\n",
        "latency 48.0 µs",
        "40.0 k MACs",
        "</main>",
    ] {
        assert!(whole.contains(wanted), "{wanted}: {whole}");
    }
    assert!(page.contains("<form id=\"filters\" hidden"));
}

#[test]
fn no_latency_of_an_unfaithful_variant_is_shown() {
    let file = example::run_file();
    let page = page(&file);
    assert!(page.contains("outputs differ from the golden vectors"));
    assert!(page.contains("not yet executable on this engine"));
    // The example's unfaithful trial would have had 777 µs.
    assert!(!page.contains("777 µs"));
}

#[test]
fn a_run_without_any_result_still_has_a_page() {
    let mut file = example::run_file();
    file.results = Aggregate::new(file.plan.clone()).results(Default::default());
    file.complete = false;
    let page = page(&file);
    assert!(page.contains("incomplete") && page.contains("never answered"));
}

#[test]
fn a_family_is_analysed_on_the_page() {
    let page = page(&example::run_file());
    assert!(page.contains("not beaten in latency and quality: w8 float32, w16 float32"));
    // Ten points for 36 µs.
    assert!(
        page.contains("10.0 ±3.10 points") && page.contains("36.0 µs"),
        "{page}"
    );
}

#[test]
fn memory_beyond_the_plan_is_told() {
    let mut file = example::run_file();
    let result = &mut file.results.trials[0];
    (result.peak_bytes, result.activation_bytes) = (Some(5 << 20), Some(1 << 20));
    let model = file.plan.trials[0].model.bytes;
    let unplanned = (4 << 20) - model;
    assert_eq!(
        file.results.trials[0].unplanned_bytes(model),
        Some(unplanned)
    );
    assert!(page(&file).contains(&crate::units::bytes(unplanned)));
    file.results.trials[0].activation_bytes = None;
    assert_eq!(file.results.trials[0].unplanned_bytes(model), None);
}

#[test]
fn instructions_are_shown_where_they_were_counted_and_reasons_where_not() {
    use crate::results::{CoreCounts, GovernorResult};
    let mut file = example::run_file();
    assert!(!page(&file).contains("instructions</th>"));
    file.results.trials[0].counts = Some(CoreCounts {
        cycles: Some(2e6),
        instructions: Some(1.5e6),
        cache_misses: None,
    });
    let reason = "the kernel has no such <b>counter".to_owned();
    file.results.uncounted = [("cache_misses".to_owned(), reason)].into();
    file.plan.governor = Some("performance".to_owned());
    file.results.governor = Some(GovernorResult {
        before: None,
        refused: Some("no clock domain".to_owned()),
    });
    let page = page(&file);
    assert!(page.contains("instructions</th>") && page.contains(&crate::units::count(1_500_000)));
    assert!(page.contains("cache misses: the kernel has no such &lt;b&gt;counter"));
    assert!(page.contains("performance, asked for, not set: no clock domain"));
    // Latencies under another governor than the one asked for: a remark says so.
    assert!(page.contains("governor performance was not set"));
}

#[test]
fn operators_that_were_timed_are_listed() {
    use crate::profile::{Operator, OperatorTime, Profile};
    let mut file = example::run_file();
    assert!(!page(&file).contains("Where the time goes"));
    let time = |index, operator: &str, mean_ns| OperatorTime {
        index,
        operator: Operator {
            operator: operator.to_owned(),
            output: "<i>logits".to_owned(),
            macs: 1_000,
        },
        mean_ns,
    };
    file.results.trials[0].profile = Some(Profile {
        inferences: 50,
        operators: vec![time(0, "CONV_2D", 3_000.0), time(2, "SOFTMAX", 1_000.0)],
    });
    let page = page(&file);
    assert!(page.contains("Where the time goes") && page.contains("CONV_2D 75.0 %"));
    assert!(page.contains("&lt;i&gt;logits") && !page.contains("<i>logits"));
}

#[test]
fn a_family_by_the_name_of_a_script_is_text() {
    let mut file = example::run_file();
    for trial in &mut file.plan.trials {
        trial.family = "<script>alert(1)</script>".to_owned();
        trial.variant = format!("<i>{}", trial.variant);
    }
    let page = page(&file);
    assert!(!page.contains("<script>alert") && !page.contains("<i>"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn windows_are_drawn_and_void_ones_are_told_with_their_reasons() {
    let mut file = example::run_file();
    let drawn = page(&file);
    assert!(drawn.contains("Latencies of w16 float32") && drawn.contains("1.00 k readings; "));
    assert!(!drawn.contains("Windows that do not count"));
    let window = &mut file.results.trials[0].windows[2];
    window.distribution = [(640, 500), (642, 300), (1_280, 3)].into();
    window.void = Some("the CPU clock changed from 1500 to 600 MHz".to_owned());
    window.clock_khz = [Some(1_500_000), Some(600_000)];
    let windows: usize = file.results.trials.iter().map(|t| t.windows.len()).sum();
    let page = page(&file);
    assert!(
        page.contains(
            "the CPU clock changed from 1500 to 600 MHz: 1 window of digits/w8 float32 (1)"
        )
    );
    assert!(
        page.contains(&format!("1 of {windows} void")) && page.contains("CPU clock over the run")
    );
    assert!(!page.contains("Temperature over the run"));
    // 2 to the power of 1281/64 nanoseconds.
    assert!(page.contains("3 of them beyond the right edge, up to 1.06 ms"));
}

#[test]
fn power_within_a_window_is_drawn_with_its_marks() {
    let mut file = example::run_file();
    assert!(!page(&file).contains("the window's marks"));
    file.results.trials[1].power_trace = Some(crate::results::PowerTrace {
        window: 1,
        window_s: 0.1,
        from_s: -0.01,
        step_s: 0.01,
        readings: 120,
        watts: vec![Some(1.5), None, Some(4.0), Some(4.1)],
    });
    let page = page(&file);
    assert!(page.contains("Power of w16 float32, window 2"));
    assert!(page.contains("means of 120 readings") && page.contains("<title>end at 100 ms"));
}

#[test]
fn a_page_of_a_hundred_variants_stays_small() {
    let mut file = example::run_file();
    let (planned, result) = (file.plan.trials[1].clone(), file.results.trials[1].clone());
    (file.plan.trials, file.results.trials) = (0..100)
        .map(|trial| {
            let (mut planned, mut result) = (planned.clone(), result.clone());
            (planned.trial, result.trial) = (trial, trial);
            planned.variant = format!("w{trial}");
            // Readings in as many cells as there are columns in a drawing.
            for window in &mut result.windows {
                window.distribution = (600..800).map(|cell| (cell, 5)).collect();
            }
            (planned, result)
        })
        .unzip();
    let size = page(&file).len();
    assert!(size < 2 << 20, "{size} bytes");
}
