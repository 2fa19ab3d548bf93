//! Numbers for people: three significant digits and a unit.

/// Nanoseconds as ns, µs, ms or s.
#[must_use]
pub fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    format!("{} {unit}", three(value))
}

/// Joules as nJ, µJ, mJ or J.
#[must_use]
pub fn energy(joules: f64) -> String {
    let (value, unit) = match joules.abs() {
        size if size < 1e-6 => (joules * 1e9, "nJ"),
        size if size < 1e-3 => (joules * 1e6, "µJ"),
        size if size < 1.0 => (joules * 1e3, "mJ"),
        _ => (joules, "J"),
    };
    format!("{} {unit}", three(value))
}

/// Watts as mW or W.
#[must_use]
pub fn power(watts: f64) -> String {
    if watts.abs() < 1.0 {
        format!("{} mW", three(watts * 1e3))
    } else {
        format!("{} W", three(watts))
    }
}

/// A count with k, M or G.
#[must_use]
pub fn count(count: u64) -> String {
    let count = count as f64;
    match count {
        c if c < 1e3 => format!("{c}"),
        c if c < 1e6 => format!("{} k", three(c / 1e3)),
        c if c < 1e9 => format!("{} M", three(c / 1e6)),
        c => format!("{} G", three(c / 1e9)),
    }
}

/// Bytes with KiB, MiB or GiB.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        b if b < 1024.0 => format!("{b} B"),
        b if b < 1_048_576.0 => format!("{} KiB", three(b / 1024.0)),
        b if b < 1_073_741_824.0 => format!("{} MiB", three(b / 1_048_576.0)),
        b => format!("{} GiB", three(b / 1_073_741_824.0)),
    }
}

/// Three significant digits, at least.
#[must_use]
pub fn three(value: f64) -> String {
    let size = value.abs();
    if size >= 99.95 {
        format!("{value:.0}")
    } else if size >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// A share, in percent.
#[must_use]
pub fn share(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A quality figure: shares in percent, others as they are.
#[must_use]
pub fn quality(metric: scalebench_models::Metric, value: f64) -> String {
    if is_share(metric) {
        share(value)
    } else if value.abs() < 10.0 {
        format!("{value:.4}")
    } else {
        three(value)
    }
}

/// Half of an interval's width, in the same form.
#[must_use]
pub fn quality_spread(metric: scalebench_models::Metric, half: f64) -> String {
    if is_share(metric) {
        format!("{:.1}", half * 100.0)
    } else if half < 10.0 {
        format!("{half:.4}")
    } else {
        three(half)
    }
}

/// Whether a metric is a share of samples, shown in percent.
#[must_use]
pub fn is_share(metric: scalebench_models::Metric) -> bool {
    use scalebench_models::Metric::{
        DetectionPrecision, DetectionRecall, MacroF1, Map50, Map50To95, Top1, Top5,
    };
    matches!(
        metric,
        Top1 | Top5 | MacroF1 | Map50 | Map50To95 | DetectionPrecision | DetectionRecall
    )
}

/// What a metric is called on a page.
#[must_use]
pub fn metric_name(metric: scalebench_models::Metric) -> &'static str {
    use scalebench_models::Metric;
    match metric {
        Metric::Top1 => "top-1",
        Metric::Top5 => "top-5",
        Metric::LogLoss => "log loss",
        Metric::Auc => "AUC",
        Metric::R2 => "R²",
        Metric::Rmse => "RMSE",
        Metric::Mae => "MAE",
        Metric::Mse => "MSE",
        Metric::MacroF1 => "macro F1",
        Metric::Map50 => "mAP@0.5",
        Metric::Map50To95 => "mAP@0.5:0.95",
        Metric::DetectionPrecision => "precision",
        Metric::DetectionRecall => "recall",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scalebench_models::Metric;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(time(999.0), "999 ns");
        assert_eq!(time(1_234.0), "1.23 µs");
        assert_eq!(time(12_345_678.0), "12.3 ms");
        assert_eq!(energy(0.001_234), "1.23 mJ");
        assert_eq!(energy(-2.5e-7), "-250 nJ");
        assert_eq!(power(0.25), "250 mW");
        assert_eq!(count(950), "950");
        assert_eq!(count(123_456), "123 k");
        assert_eq!(bytes(1_536), "1.50 KiB");
        assert_eq!(quality(Metric::Top1, 0.876_6), "87.7 %");
        assert_eq!(quality(Metric::R2, 0.98123), "0.9812");
    }
}
