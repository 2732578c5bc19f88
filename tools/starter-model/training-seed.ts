/**
 * The first seed of the covers that the model is trained on; they go up by one. The starter set's own covers
 * have seeds drawn from `starterSeed` and compositions dealt out evenly, so none comes twice.
 */
export const trainingSeed = 700_000_000;
