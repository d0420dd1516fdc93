//! Tests of the whole module: recorded vectors, random expressions, clocks that jump.

mod vectors;
