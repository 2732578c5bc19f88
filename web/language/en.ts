/** All texts of the page in English. The compiler checks that `fr.ts` has the same keys. */
export const en = {
  name: 'Shazam Visual',
  masthead: {
    home: 'Shazam Visual, home',
    skip: 'Skip to the content',
    language: 'Language',
    api: 'API',
    apiTitle: 'The API: documentation',
  },
  footer: {
    note: 'Pictures are scaled down in your browser before they are sent, and are not stored.',
  },
  starter: {
    title: 'Starter set',
    short: 'made-up covers, for trying things out',
    text: 'These covers are made up, and the model is a small one, just for trying things out. To search real albums, put your own files into models/ and images/.',
  },
  finder: {
    title: 'Which record is this?',
    lead: 'Photograph a sleeve, drop a picture or describe it, and see the albums whose covers match best.',
    touchTitle: 'Show a cover',
    dropTitle: 'Drop a cover',
    dropHint: 'anywhere on this page, or paste it',
    pick: 'Choose a picture',
    photo: 'Take a photo',
    ways: 'Search by picture',
    words: 'Or type its name, or describe it',
    wordsLabel: 'Name or describe an album',
    wordsPlaceholder: 'an artist, a title, or a red circle',
    search: 'Search',
    dropHere: 'Drop to search by this picture',
    suggestions: 'Albums with matching names',
    suggested: (albums: number) =>
      albums === 1 ? '1 suggestion.' : `${String(albums)} suggestions.`,
  },
  examples: {
    title: 'A few covers',
    albums: (albums: string) => `of ${albums} albums`,
    words: 'For example:',
    like: (title: string, artist: string) => `Covers like ${title} by ${artist}`,
  },
  stage: {
    title: 'Crop to the sleeve',
    hint: 'Drag the corners so that only the cover is left.',
    keys: 'Arrow keys move a corner; with Shift, faster.',
    picture: 'The picture to search by',
    search: 'Search by this picture',
    whole: 'Whole picture',
    other: 'Another picture',
    close: 'Close',
    preparing: 'Preparing the picture…',
    corners: {
      'top-left': 'Top left corner',
      'top-right': 'Top right corner',
      'bottom-left': 'Bottom left corner',
      'bottom-right': 'Bottom right corner',
    },
    position: (x: string, y: string) => `${x} from the left, ${y} from the top`,
  },
  camera: {
    title: 'Take a photo',
    capture: 'Take the photo',
    close: 'Close the camera',
    preview: 'What the camera sees',
    waiting: 'Waiting for the camera…',
    look: 'Recognise automatically',
    lookHint: 'Sends a small picture about once a second, until an album is recognised.',
    looking: 'Looking…',
    noAnswer: 'No answer at the moment. You can take the photo yourself.',
    own: 'Use the phone’s camera',
  },
  results: {
    byText: (query: string) => `Covers like “${query}”`,
    byName: (query: string) => `Albums for “${query}”`,
    byPicture: 'Covers like your picture',
    byAlbum: (title: string) => `Covers like ${title}`,
    byAlbumUnknown: 'Covers like this one',
    refined: (title: string, words: string) => `${title} and “${words}”`,
    yourPicture: 'Your picture',
    adjust: 'Adjust the crop',
    list: 'Albums, most similar first',
    searching: 'Looking through the covers…',
    found: (albums: number, first: string) =>
      albums === 1 ? `1 album: ${first}.` : `${String(albums)} albums; the closest is ${first}.`,
    more: 'Show more',
    moreFound: (albums: number, total: number) =>
      `${String(albums)} more, ${String(total)} albums in all.`,
    end: (albums: number) =>
      albums === 1 ? 'That is the only one.' : `That is all: ${String(albums)} albums.`,
    deepest: (albums: number) => `These are the ${String(albums)} closest; no more are shown.`,
    nothing: 'No album matches these filters.',
    similarity: 'Similarity',
    similar: 'More like this',
    similarTo: (title: string) => `More like ${title}`,
    score: 'Pitchfork score',
    bestNewMusic: 'Best New Music',
    by: (title: string, artist: string) => `${title} by ${artist}`,
    untitled: 'Untitled',
    unknownArtist: 'Unknown artist',
  },
  identified: {
    one: (name: string) => `This is ${name}`,
    several: (albums: number) => `${String(albums)} albums recognised`,
    none: 'Not recognised',
    noneText: 'No album of this catalog was found in the picture.',
    picture: (albums: number) =>
      albums === 1
        ? 'Your picture, with the sleeve outlined'
        : `Your picture, with ${String(albums)} sleeves outlined and numbered`,
    list: 'Recognised albums',
    alternatives: 'Also possible:',
    others: (albums: number): string =>
      albums === 1 ? 'Covers that look like it' : 'Covers that look like them',
    nearest: 'The nearest covers',
    saidOne: (name: string) => `This is ${name}.`,
    saidSeveral: (names: string[]) =>
      `${String(names.length)} albums recognised: ${names.join('; ')}.`,
    saidNone: (first: string) =>
      `Not recognised: no album of this catalog was found in the picture. The nearest cover is ${first}.`,
  },
  by: {
    title: 'Search in',
    both: 'Names and covers',
    name: 'Names',
    cover: 'Covers',
    names: 'Matching names',
    covers: 'Matching covers',
    nothing: 'No album has such a name.',
    saidNames: (albums: number, first: string) =>
      albums === 1
        ? `1 matching name: ${first}.`
        : `${String(albums)} matching names, first ${first}.`,
  },
  refine: {
    label: 'More like this, but with …',
    placeholder: 'blue, at night, a face …',
    button: 'Refine',
  },
  filters: {
    title: 'Filters',
    button: (active: number) => (active === 0 ? 'Filters' : `Filters (${String(active)})`),
    genres: 'Genre',
    years: 'Released',
    from: 'from',
    to: 'to',
    score: 'Pitchfork score',
    scoreAny: 'any',
    scoreFrom: (score: string) => `${score} or more`,
    bestNewMusic: 'Best New Music only',
    active: 'Active filters',
    remove: (filter: string) => `Remove the filter ${filter}`,
    clear: 'Clear the filters',
    since: (year: number) => `from ${String(year)}`,
    until: (year: number) => `until ${String(year)}`,
    scoreChip: (score: string) => `score ${score} or more`,
    loading: 'Loading the filters…',
  },
  detail: {
    title: 'Album',
    close: 'Close',
    cover: (name: string) => `Cover of ${name}`,
    year: 'Released',
    genre: 'Genre',
    label: 'Label',
    score: 'Pitchfork score',
    reviewer: 'Reviewed by',
    file: 'Open the cover',
    original: 'Original cover',
    newTab: 'opens in a new tab',
    loading: 'Loading the album…',
  },
  problems: {
    retry: 'Try again',
    retryIn: (seconds: number) => `Try again in ${String(seconds)} s`,
    byItself: (seconds: number) =>
      seconds === 1
        ? 'Retrying automatically in 1 second.'
        : `Retrying automatically in ${String(seconds)} seconds.`,
    whenOnline: 'Retrying automatically when you are online.',
    other: 'Choose another picture',
    dismiss: 'Dismiss',
    said: 'What the server said',
    requestId: 'Request',
    key: { label: 'Your key', use: 'Continue' },
    codes: {
      invalid_parameter: {
        title: 'This search is not valid',
        advice: 'Change the words or the filters, and search again.',
      },
      missing_file: {
        title: 'The picture did not arrive',
        advice: 'Choose it again.',
      },
      unexpected_field: {
        title: 'The server did not expect this upload',
        advice: 'Reload the page: it may be older than the server.',
      },
      too_many_files: {
        title: 'That was more than one picture',
        advice: 'Search by one picture at a time.',
      },
      empty_file: {
        title: 'This file is empty',
        advice: 'Choose another picture.',
      },
      malformed_upload: {
        title: 'The upload was damaged',
        advice: 'Try again.',
      },
      upload_incomplete: {
        title: 'The upload was interrupted',
        advice: 'Check your connection and try again.',
      },
      upload_too_large: {
        title: 'This file is too large',
        advice: 'Save it as a JPEG first: 1024 pixels on the longer side are enough.',
      },
      not_an_image: {
        title: 'This file is not a picture',
        advice: 'Choose a JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF.',
      },
      unsupported_image: {
        title: 'This picture format is not supported',
        advice: 'Choose a JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF.',
      },
      unreadable_image: {
        title: 'This picture is damaged',
        advice: 'Choose another copy of it.',
      },
      image_too_large: {
        title: 'This picture has too many pixels',
        advice: 'Choose a smaller one: 1024 pixels on the longer side are enough.',
      },
      route_not_found: {
        title: 'The service was not found',
        advice: 'The page may use the wrong address: tell its operator.',
      },
      album_not_found: {
        title: 'There is no such album',
        advice: 'The link may be for another catalog. Start a new search.',
      },
      cover_not_found: {
        title: 'The cover of this album is missing',
        advice: 'Its details may still have a link to the original.',
      },
      uploads_disabled: {
        title: 'Uploads of this kind are disabled',
        advice: 'Reload the page: it may be older than the server.',
      },
      upload_not_found: {
        title: 'The picture is no longer available',
        advice: 'Choose it again.',
      },
      method_not_allowed: {
        title: 'The server did not expect this request',
        advice: 'Reload the page: it may be older than the server.',
      },
      range_not_satisfiable: {
        title: 'The server did not expect this request',
        advice: 'Reload the page.',
      },
      precondition_failed: {
        title: 'The cover has changed',
        advice: 'Reload the page.',
      },
      invalid_request: {
        title: 'The server did not understand the request',
        advice: 'Change the search, or reload the page.',
      },
      unauthorized: {
        title: 'An API key is required',
        advice: 'Enter your key. It is forgotten when you close this tab.',
      },
      rate_limited: {
        title: 'Too many searches',
        advice: 'The number of searches per minute is limited. Wait a moment.',
      },
      busy: {
        title: 'The service is busy',
        advice: 'Many people are searching. Wait a moment.',
      },
      starting: {
        title: 'The service is still starting',
        advice: 'It is loading its model, which takes a few seconds.',
      },
      out_of_time: {
        title: 'That took too long',
        advice: 'The service was still loading. The next try should be faster.',
      },
      encoder_lost: {
        title: 'The model crashed',
        advice: 'It has been restarted: the next try should work.',
      },
      invalid_config: {
        title: 'The service is misconfigured',
        advice: 'You cannot fix this: tell the operator of the service.',
      },
      assets_missing: {
        title: 'Some of the service’s files are missing',
        advice: 'You cannot fix this: tell the operator of the service.',
      },
      assets_inconsistent: {
        title: 'The service’s files do not match each other',
        advice: 'You cannot fix this: tell the operator of the service.',
      },
      index_unreadable: {
        title: 'The index of covers cannot be read',
        advice: 'You cannot fix this: tell the operator of the service.',
      },
      model_unreadable: {
        title: 'The model cannot be read',
        advice: 'You cannot fix this: tell the operator of the service.',
      },
      catalog_unreadable: {
        title: 'The list of albums cannot be read',
        advice: 'You cannot fix this: tell the operator of the service.',
      },
      storage_unavailable: {
        title: 'The file storage is unavailable',
        advice: 'Try again in a moment.',
      },
      internal_error: {
        title: 'Something went wrong in the service',
        advice: 'Try again. If it happens again, report it with the request number below.',
      },
      not_a_picture: {
        title: 'This file is not a picture',
        advice: 'Choose a JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF.',
      },
      picture_too_large: {
        title: 'This file is too large',
        advice: 'Choose a picture of less than 100 MB.',
      },
      nothing_to_read: {
        title: 'No picture was found',
        advice: 'Save the picture as a file first, then drop or paste the file.',
      },
      camera_denied: {
        title: 'The camera is blocked',
        advice: 'Allow it in the browser’s settings for this page, or choose a picture instead.',
      },
      camera_missing: {
        title: 'No camera is available',
        advice: 'Another program may be using it. You can choose a picture instead.',
      },
      key_refused: {
        title: 'This key is not valid',
        advice: 'Check it, or ask the operator of the service for another one.',
      },
      offline: {
        title: 'You are offline',
        advice: 'Check your connection.',
      },
      unreachable: {
        title: 'The service cannot be reached',
        advice: 'Check your connection, or try again in a moment.',
      },
      timed_out: {
        title: 'The service did not answer',
        advice: 'The connection may be slow. Try again.',
      },
    },
  },
};

export type Words = typeof en;
