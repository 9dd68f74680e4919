//! Figures as tables show them. A ratio is of two medians of the same run; only within one run are figures worth comparing.

/// With less to do than this, the asking thread had time left, and the target was the limit.
const ALWAYS_BUSY: f64 = 0.9;

/// What to write under a table when the thread that asks had no time left.
pub(crate) fn limited_by_asking(name: &str, asking: &[f64], per: &str) -> Option<String> {
    (median(asking) >= ALWAYS_BUSY).then(|| {
        format!(
            "{name}: the asking thread was never idle, so the rate is its limit or the machine's; compare CPU a {per}."
        )
    })
}

/// Median with smallest and largest.
pub(crate) fn spread(values: &[f64], decimals: usize) -> String {
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(0.0, f64::max);
    let middle = median(values);
    format!("{middle:.decimals$} ({smallest:.decimals$}–{largest:.decimals$})")
}

/// Two cells: median with smallest and largest, and the median over the floor's.
pub(crate) fn with_ratio(values: &[f64], floor: &[f64], decimals: usize) -> String {
    let ratio = median(values) / median(floor);
    format!("{} | {ratio:.2}", spread(values, decimals))
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}
