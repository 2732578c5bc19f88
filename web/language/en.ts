/** Every text of the page, in English. `fr.ts` must have the same keys, which the compiler checks. */
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
    note: 'Pictures are made small in your browser before they are sent, and are not kept.',
  },
  starter: {
    title: 'Starter set',
    short: 'made-up covers, to try things out',
    text: 'These covers are made up, and the model that looks at them is a small one: to try things out. Real albums come with files of your own in models/ and images/.',
  },
  finder: {
    title: 'Which record is this?',
    lead: 'Snap a sleeve, drop a picture or say what it looks like. The albums whose covers come closest turn up.',
    touchTitle: 'Show a cover',
    dropTitle: 'Drop a cover',
    dropHint: 'anywhere on this page, or paste it',
    pick: 'Choose a picture',
    photo: 'Take a photo',
    ways: 'Search by picture',
    words: 'Or describe it',
    wordsLabel: 'Describe a cover',
    wordsPlaceholder: 'a red circle',
    search: 'Search',
    dropHere: 'Let go to search by this picture',
  },
  examples: {
    title: 'Pull one from the crate',
    albums: (albums: string) => `of ${albums} albums`,
    words: 'For example:',
    like: (title: string, artist: string) => `Covers like ${title} by ${artist}`,
  },
  stage: {
    title: 'Keep the sleeve only',
    hint: 'Drag the corners so that only the cover is left.',
    keys: 'Arrow keys move a corner; with Shift, faster.',
    picture: 'The picture to search by',
    search: 'Search by this picture',
    whole: 'Whole picture',
    other: 'Another picture',
    close: 'Close',
    preparing: 'Making it small…',
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
    look: 'Look by itself',
    lookHint: 'Sends a small picture about once a second, until an album is recognised.',
    looking: 'Looking…',
    noAnswer: 'No answer at the moment. You can take the photo yourself.',
    own: 'Use the phone’s camera',
  },
  results: {
    byText: (query: string) => `Covers like “${query}”`,
    byPicture: 'Covers like your picture',
    byAlbum: (title: string) => `Covers like ${title}`,
    byAlbumUnknown: 'Covers like this one',
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
    nothing: 'No album passes these filters.',
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
        ? 'The page tries again by itself in a second.'
        : `The page tries again by itself in ${String(seconds)} seconds.`,
    whenOnline: 'The page tries again by itself when you are online.',
    other: 'Choose another picture',
    dismiss: 'Dismiss',
    said: 'What the server said',
    requestId: 'Request',
    key: { label: 'Your key', use: 'Continue' },
    codes: {
      invalid_parameter: {
        title: 'Something in this search is not right',
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
        advice: 'Search by one at a time.',
      },
      empty_file: {
        title: 'This file is empty',
        advice: 'Choose another picture.',
      },
      malformed_upload: {
        title: 'The upload was damaged on its way',
        advice: 'Try again.',
      },
      upload_incomplete: {
        title: 'The upload stopped half-way',
        advice: 'Check your connection and try again.',
      },
      upload_too_large: {
        title: 'This file is too large',
        advice: 'Save it as a JPEG first: 1024 pixels on the longer side are plenty.',
      },
      not_an_image: {
        title: 'This file is not a picture',
        advice: 'Choose a JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF.',
      },
      unsupported_image: {
        title: 'Pictures of this kind can not be read',
        advice: 'Choose a JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF.',
      },
      unreadable_image: {
        title: 'This picture is damaged',
        advice: 'Choose another copy of it.',
      },
      image_too_large: {
        title: 'This picture has too many pixels',
        advice: 'Choose a smaller one: 1024 pixels on the longer side are plenty.',
      },
      route_not_found: {
        title: 'The service was not found',
        advice: 'The page may point at a wrong address: tell whoever runs it.',
      },
      album_not_found: {
        title: 'There is no such album',
        advice: 'The link may be for another catalog. Start a new search.',
      },
      cover_not_found: {
        title: 'The cover of this album is not here',
        advice: 'Its page may still have a link to the original.',
      },
      uploads_disabled: {
        title: 'Uploads of this kind are switched off',
        advice: 'Reload the page: it may be older than the server.',
      },
      upload_not_found: {
        title: 'The picture is not there any more',
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
        title: 'A key is needed here',
        advice: 'Enter the one that you were given. It is forgotten when you close this tab.',
      },
      rate_limited: {
        title: 'That was a lot of searches',
        advice: 'One may ask only so often a minute. Wait a moment.',
      },
      busy: {
        title: 'Everybody is searching right now',
        advice: 'Your turn comes in a moment.',
      },
      starting: {
        title: 'The service is still starting',
        advice: 'It is loading its model: that takes a few seconds.',
      },
      out_of_time: {
        title: 'That took too long',
        advice: 'The service was still loading. The next try is faster.',
      },
      encoder_lost: {
        title: 'The service lost its model for a moment',
        advice: 'It has been started anew: the next try should work.',
      },
      invalid_config: {
        title: 'The service is wrongly set up',
        advice: 'Nothing you can do: tell whoever runs it.',
      },
      assets_missing: {
        title: 'Files of the service are missing',
        advice: 'Nothing you can do: tell whoever runs it.',
      },
      assets_inconsistent: {
        title: 'Files of the service do not fit each other',
        advice: 'Nothing you can do: tell whoever runs it.',
      },
      index_unreadable: {
        title: 'The index of covers can not be read',
        advice: 'Nothing you can do: tell whoever runs it.',
      },
      model_unreadable: {
        title: 'The model can not be read',
        advice: 'Nothing you can do: tell whoever runs it.',
      },
      catalog_unreadable: {
        title: 'The list of albums can not be read',
        advice: 'Nothing you can do: tell whoever runs it.',
      },
      storage_unavailable: {
        title: 'The store of covers can not be reached',
        advice: 'Try again in a moment.',
      },
      internal_error: {
        title: 'Something went wrong in the service',
        advice: 'Try again. If it goes on, report it with the number below.',
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
        title: 'There was no picture in that',
        advice: 'Save the picture as a file first, then drop or paste the file.',
      },
      camera_denied: {
        title: 'The camera may not be used',
        advice: 'Allow it in the browser’s settings of this page, or choose a picture instead.',
      },
      camera_missing: {
        title: 'There is no camera to be used',
        advice: 'Another program may hold it. You can choose a picture instead.',
      },
      key_refused: {
        title: 'This key is not known here',
        advice: 'Check it, or ask whoever runs the service for another.',
      },
      offline: {
        title: 'You are offline',
        advice: 'Check your connection.',
      },
      unreachable: {
        title: 'The service can not be reached',
        advice: 'Check your connection, or try again in a moment.',
      },
      timed_out: {
        title: 'No answer came',
        advice: 'The connection may be slow. Try again.',
      },
    },
  },
};

export type Words = typeof en;
