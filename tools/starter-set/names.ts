import type { Random } from './random.ts';

const heads =
  'Or Ve Ta Mi Ka Lu So Ze Ba No Fi Dra El Quo Hal Wen Pel Jo Ry Thal Cor Ib Sker Ul'.split(' ');
const middles = 'va lo ren mi das tu sel no bri ka li mo ra fen go'.split(' ');
const tails = 'ne th mar lin dow x sk vey la ro ne mund ssa ter by rin ck lle'.split(' ');

const things =
  'Harbour Lantern Orchard Ladder Meridian Thimble Glacier Parade Signal Orbit Kiln Marble Tunnel Feather Compass Anvil Willow Engine Velvet Mirror Canyon Pylon Ribbon Bramble Saddle Cistern Quarry Aviary Gasket Tollbooth'.split(
    ' ',
  );
const kinds =
  'Paper Hollow Electric Sleeping Borrowed Northern Crooked Silver Patient Distant Hidden Folding Restless Quiet Midnight Second Broken Painted Salted Weightless Early Plural Tidal Wooden Nervous Seventh'.split(
    ' ',
  );
const ensembles =
  'Quartet Trio Ensemble Band Sound System Orchestra Club Collective Five Unit Choir'.split(' ');
const times = ['Noon', 'Dusk', 'Dawn', 'Midwinter', 'Harvest', 'Low Tide', 'First Light'];

/** An invented proper name. */
const surname = (random: Random): string =>
  random.pick(heads) + (random.chance(0.6) ? random.pick(middles) : '') + random.pick(tails);

const artistForms: readonly ((random: Random) => string)[] = [
  surname,
  (random) => `${surname(random)} ${surname(random)}`,
  (random) => `The ${random.pick(kinds)} ${surname(random)}s`,
  (random) => `${surname(random)} ${random.pick(ensembles)}`,
  (random) => `${random.pick(kinds)} ${random.pick(things)} ${String(random.integer(3, 99))}`,
  (random) => `${surname(random)} & the ${random.pick(things)}s`,
];

const titleForms: readonly ((random: Random) => string)[] = [
  (random) => `${random.pick(kinds)} ${random.pick(things)}`,
  (random) => `${random.pick(things)} at ${random.pick(times)}`,
  (random) => `The ${random.pick(things)} of ${surname(random)}`,
  (random) => `${random.pick(things)} No. ${String(random.integer(2, 19))}`,
  (random) => random.shuffled(kinds).slice(0, 2).join(' & '),
  (random) => `Songs for a ${random.pick(things)}`,
  (random) => surname(random),
  (random) =>
    `Don't ${random.pick(['Fold', 'Wake', 'Paint', 'Follow'])} the ${random.pick(things)}`,
];

export const inventArtist = (random: Random): string => random.pick(artistForms)(random);
export const inventTitle = (random: Random): string => random.pick(titleForms)(random);
export const inventLabel = (random: Random): string =>
  `${random.pick(things)} ${random.pick(['Records', 'Recordings', 'Discs', 'Tapes', 'Sound'])}`;
export const inventReviewer = (random: Random): string => `${surname(random)} ${surname(random)}`;

export const genres = [
  'Rock',
  'Electronic',
  'Electronic / Rock',
  'Jazz',
  'Rap',
  'Folk/Country',
  'Pop/R&B',
  'Metal',
  'Experimental',
  'Global',
  'Experimental / Rock',
  'Pop/R&B / Electronic',
] as const;
