//! Median, in nanoseconds, of single inferences of a model: one line a model, for `benches/beside_litert.py`.

use std::time::Instant;

use scalebench_engine::{Limits, Model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let runs: usize = arguments
        .next()
        .ok_or("usage: median RUNS FILE...")?
        .parse()?;
    for file in arguments {
        let mut model = Model::load(&std::fs::read(&file)?, &Limits::default())?;
        for _ in 0..runs / 10 + 1 {
            model.run()?;
        }
        let mut times = Vec::with_capacity(runs);
        for _ in 0..runs {
            let start = Instant::now();
            model.run()?;
            times.push(start.elapsed().as_nanos() as u64);
        }
        times.sort_unstable();
        println!("{}", times[runs / 2]);
    }
    Ok(())
}
