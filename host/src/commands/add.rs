//! `scalebench models add`

use super::out;
use crate::cli::AddArgs;
use anyhow::Result;
use scalebench::adding::{Normal, Wishes, add};
use scalebench::text;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn add_family(args: &AddArgs, root: &Path) -> Result<ExitCode> {
    let wishes = Wishes {
        name: args.name.clone(),
        title: args.title.clone(),
        licence: args.licence.clone(),
        files: args.files.clone(),
        data: args.data.clone(),
        labels: args.labels.clone(),
        classes: args.classes.clone(),
        range: args.range,
        normal: (!args.mean.is_empty()).then(|| Normal {
            mean: args.mean.clone(),
            deviation: args.deviation.clone(),
        }),
        output: args.output,
        unit: args.unit.clone(),
        samples: args.samples,
        metric: args.metric,
        golden: args.golden.clone(),
        coordinates: args.coordinates.iter().cloned().collect(),
    };
    let added = add(root, &wishes)?;
    for remark in &added.remarks {
        out::line(text::escaped(remark))?;
    }
    out::line(format!(
        "{}: look through family.toml (licence, origins), then `scalebench run --family {}`",
        text::escaped(&added.folder.display().to_string()),
        args.name
    ))?;
    Ok(ExitCode::SUCCESS)
}
