//! Layers of int8 and uint8 tensors through the whole engine, against what the TFLite reference kernels
//! answered (`tests/oracle`).

use scalebench_engine::{DType, Limits, LoadError, Model};
use scalebench_oracle::cases;

#[test]
fn integer_layers_answer_the_bytes_of_the_reference() {
    for name in ["conv", "depthwise", "fully_connected"] {
        let mut ran = [0, 0];
        for case in cases(name) {
            let mut model = match Model::load(&case.model, &Limits::default()) {
                Ok(model) => model,
                Err(LoadError::Unsupported { .. }) => continue,
                Err(error) => panic!("{}: {error}", case.name),
            };
            let kind = match model.outputs()[0].dtype {
                DType::I8 => 0,
                DType::U8 => 1,
                _ => continue,
            };
            for (index, &fed) in case.fed.iter().enumerate() {
                model
                    .input_mut(index)
                    .copy_from_slice(&case.tensors[fed].data);
            }
            model
                .run()
                .unwrap_or_else(|error| panic!("{}: {error}", case.name));
            assert_eq!(model.output(0), case.output().data, "{}", case.name);
            ran[kind] += 1;
        }
        println!("{name}: {} int8 and {} uint8 cases", ran[0], ran[1]);
        assert!(ran[0] + ran[1] > 0, "{name}: no case was executed");
    }
}
