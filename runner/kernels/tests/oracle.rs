//! Every operator against what the TFLite reference kernels answer: integers to the bit.
//!
//! `SCALEBENCH_CASES=DIR` runs over another set of cases, see tests/oracle/README.md.

mod oracle {
    mod elementwise;
    mod fold;
    mod linear;
    mod movement;
    mod products;
    mod support;
}
