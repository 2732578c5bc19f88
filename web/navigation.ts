import { linkTo, readLink, readWords, type Address } from './address.ts';

/** An entry in the browser's history. */
export interface Place {
  address: Address;
  /** Identifies the search: an entry that only opens an album keeps the key of the results behind it. */
  searchKey: string;
  /** The query picture. */
  picture: Blob | null;
  /** Whether going back only closes the open album. */
  backCloses: boolean;
}

/** The content of `history.state`, which is a structured clone and survives a reload. */
interface Entry {
  searchKey: string;
  picture?: { bytes: ArrayBuffer; type: string };
  backCloses?: boolean;
}

/** Pictures up to this many bytes are stored in the history entry; browsers refuse large entries. */
const keptBytes = 2_000_000;

let made = 0;
const newKey = () => `${Date.now().toString(36)}-${String((made += 1))}`;

/** Called for every place except the initial one, reached by a new entry or through the history. */
type Arrive = (place: Place, how: 'moved' | 'history', from: Place) => void;

/** Moves between places and notifies the listener. */
export class Navigation {
  #current: Place;
  readonly #arrive: Arrive;
  /** Pictures of this visit by search key, including those too large for the history. */
  readonly #pictures = new Map<string, Blob>();

  constructor(arrive: Arrive) {
    this.#arrive = arrive;
    this.#current = this.#read();
    window.addEventListener('popstate', () => {
      this.#move('history');
    });
  }

  get current(): Place {
    return this.#current;
  }

  /** Starts a new search. */
  async search(address: Address, picture: Blob | null = null): Promise<void> {
    const searchKey = newKey();
    const entry: Entry = { searchKey };
    if (picture) {
      this.#pictures.set(searchKey, picture);
      if (picture.size <= keptBytes)
        entry.picture = { bytes: await picture.arrayBuffer(), type: picture.type };
    }
    this.#push(address, entry);
  }

  /** Opens an album over the current results. */
  openAlbum(album: number): void {
    const { address, searchKey } = this.#current;
    const kept = (history.state as Entry | null)?.picture;
    this.#push(
      { ...address, album },
      { searchKey, ...(kept && { picture: kept }), backCloses: true },
    );
  }

  closeAlbum(): void {
    const { address, backCloses } = this.#current;
    if (address.album === null) return;
    if (backCloses) history.back();
    else {
      // opened directly by a link: the previous entry is not the results
      history.replaceState(history.state, '', linkTo({ ...address, album: null }));
      this.#move('moved');
    }
  }

  #push(address: Address, entry: Entry): void {
    history.pushState(entry, '', linkTo(address));
    this.#move('moved');
  }

  #move(how: 'moved' | 'history'): void {
    const from = this.#current;
    this.#current = this.#read();
    this.#arrive(this.#current, how, from);
  }

  #read(): Place {
    const entry = (history.state as Entry | null) ?? { searchKey: newKey() };
    if (history.state === null) history.replaceState(entry, '');
    const kept = entry.picture && new Blob([entry.picture.bytes], { type: entry.picture.type });
    const picture = this.#pictures.get(entry.searchKey) ?? kept ?? null;
    const address = readLink(location.search);
    return {
      address:
        picture && address.subject.kind === 'nothing'
          ? { ...address, subject: { kind: 'picture', ...readWords(location.search) } }
          : address,
      searchKey: entry.searchKey,
      picture,
      backCloses: entry.backCloses ?? false,
    };
  }
}
