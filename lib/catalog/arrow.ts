// In the bundles a file of its own, which is read only if there is a compact list (infra/bundle.mjs).
export { RecordBatchReader } from 'apache-arrow';
