import type { Words } from './en.ts';

/** All texts of the page in French. */
export const fr: Words = {
  name: 'Shazam Visual',
  masthead: {
    home: 'Shazam Visual, accueil',
    skip: 'Aller au contenu',
    language: 'Langue',
    api: 'API',
    apiTitle: 'L’API : documentation',
  },
  footer: {
    note: 'Les images sont réduites dans votre navigateur avant d’être envoyées, et ne sont pas conservées.',
  },
  starter: {
    title: 'Jeu d’essai',
    short: 'des pochettes inventées, pour essayer',
    text: 'Ces pochettes sont inventées et le modèle est petit : ils ne servent qu’à faire des essais. Pour chercher de vrais albums, placez vos propres fichiers dans models/ et images/.',
  },
  finder: {
    title: 'Quel est ce disque ?',
    lead: 'Photographiez une pochette, déposez une image ou décrivez-la, et voyez les albums aux pochettes les plus proches.',
    touchTitle: 'Montrez une pochette',
    dropTitle: 'Déposez une pochette',
    dropHint: 'n’importe où sur la page, ou collez-la',
    pick: 'Choisir une image',
    photo: 'Prendre une photo',
    ways: 'Chercher par image',
    words: 'Ou tapez son nom, ou décrivez-la',
    wordsLabel: 'Nommez ou décrivez un album',
    wordsPlaceholder: 'un artiste, un titre ou « a red circle »',
    search: 'Chercher',
    dropHere: 'Relâchez pour chercher avec cette image',
    suggestions: 'Albums dont le nom correspond',
    suggested: (albums) => `${String(albums)} suggestion${albums < 2 ? '' : 's'}.`,
  },
  examples: {
    title: 'Quelques pochettes',
    albums: (albums) => `parmi ${albums} albums`,
    words: 'Par exemple (le modèle comprend mieux l’anglais) :',
    like: (title, artist) => `Pochettes proches de ${title}, ${artist}`,
  },
  stage: {
    title: 'Recadrez la pochette',
    hint: 'Faites glisser les coins pour ne garder que la pochette.',
    keys: 'Les flèches déplacent un coin ; avec Maj, plus vite.',
    picture: 'L’image à chercher',
    search: 'Chercher avec cette image',
    whole: 'Image entière',
    other: 'Une autre image',
    close: 'Fermer',
    preparing: 'Préparation de l’image…',
    corners: {
      'top-left': 'Coin en haut à gauche',
      'top-right': 'Coin en haut à droite',
      'bottom-left': 'Coin en bas à gauche',
      'bottom-right': 'Coin en bas à droite',
    },
    position: (x, y) => `${x} depuis la gauche, ${y} depuis le haut`,
  },
  camera: {
    title: 'Prendre une photo',
    capture: 'Prendre la photo',
    close: 'Fermer l’appareil photo',
    preview: 'Ce que voit l’appareil photo',
    waiting: 'En attente de l’appareil photo…',
    look: 'Reconnaître automatiquement',
    lookHint:
      'Envoie une petite image environ toutes les secondes, jusqu’à ce qu’un album soit reconnu.',
    looking: 'Recherche en cours…',
    noAnswer: 'Pas de réponse pour l’instant. Vous pouvez prendre la photo vous-même.',
    own: 'Ouvrir l’appareil photo du téléphone',
  },
  results: {
    byText: (query) => `Pochettes proches de « ${query} »`,
    byName: (query) => `Albums pour « ${query} »`,
    byPicture: 'Pochettes proches de votre image',
    byAlbum: (title) => `Pochettes proches de ${title}`,
    byAlbumUnknown: 'Pochettes proches de celle-ci',
    refined: (title, words) => `${title} et de « ${words} »`,
    yourPicture: 'Votre image',
    adjust: 'Recadrer',
    list: 'Albums, du plus proche au moins proche',
    searching: 'Recherche parmi les pochettes…',
    found: (albums, first) =>
      albums < 2
        ? `${String(albums)} album : ${first}.`
        : `${String(albums)} albums ; le plus proche est ${first}.`,
    more: 'Afficher plus',
    moreFound: (albums, total) => `${String(albums)} de plus, ${String(total)} albums en tout.`,
    end: (albums) => (albums < 2 ? 'C’est le seul.' : `C’est tout : ${String(albums)} albums.`),
    deepest: (albums) => `Voici les ${String(albums)} plus proches ; c’est le maximum affiché.`,
    nothing: 'Aucun album ne correspond à ces filtres.',
    similarity: 'Similarité',
    similar: 'Similaires',
    similarTo: (title) => `Similaires à ${title}`,
    score: 'Note Pitchfork',
    bestNewMusic: 'Best New Music',
    by: (title, artist) => `${title}, ${artist}`,
    untitled: 'Sans titre',
    unknownArtist: 'Artiste inconnu',
  },
  identified: {
    one: (name) => `C’est ${name}`,
    several: (albums) => `${String(albums)} albums reconnus`,
    none: 'Non reconnu',
    noneText: 'Aucun album de ce catalogue n’a été trouvé dans l’image.',
    picture: (albums) =>
      albums === 1
        ? 'Votre image, avec le contour de la pochette'
        : `Votre image, avec les contours numérotés de ${String(albums)} pochettes`,
    list: 'Albums reconnus',
    alternatives: 'Peut-être aussi :',
    others: (albums) =>
      albums === 1 ? 'Pochettes qui lui ressemblent' : 'Pochettes qui leur ressemblent',
    nearest: 'Les pochettes les plus proches',
    saidOne: (name) => `C’est ${name}.`,
    saidSeveral: (names) => `${String(names.length)} albums reconnus : ${names.join(' ; ')}.`,
    saidNone: (first) =>
      `Non reconnu : aucun album de ce catalogue n’a été trouvé dans l’image. La pochette la plus proche est celle de ${first}.`,
  },
  by: {
    title: 'Chercher dans',
    both: 'Noms et pochettes',
    name: 'Noms',
    cover: 'Pochettes',
    names: 'Noms correspondants',
    covers: 'Pochettes correspondantes',
    nothing: 'Aucun album ne porte ce nom.',
    saidNames: (albums, first) =>
      albums < 2
        ? `${String(albums)} nom correspondant : ${first}.`
        : `${String(albums)} noms correspondants, le premier est ${first}.`,
  },
  refine: {
    label: 'Comme ceci, mais avec…',
    placeholder: 'blue, at night, a face…',
    button: 'Affiner',
  },
  filters: {
    title: 'Filtres',
    button: (active) => (active === 0 ? 'Filtres' : `Filtres (${String(active)})`),
    genres: 'Genre',
    years: 'Sortie',
    from: 'de',
    to: 'à',
    score: 'Note Pitchfork',
    scoreAny: 'toutes',
    scoreFrom: (score) => `${score} ou plus`,
    bestNewMusic: 'Best New Music seulement',
    active: 'Filtres actifs',
    remove: (filter) => `Retirer le filtre ${filter}`,
    clear: 'Retirer les filtres',
    since: (year) => `dès ${String(year)}`,
    until: (year) => `jusqu’en ${String(year)}`,
    scoreChip: (score) => `note ${score} ou plus`,
    loading: 'Chargement des filtres…',
  },
  detail: {
    title: 'Album',
    close: 'Fermer',
    cover: (name) => `Pochette de ${name}`,
    year: 'Sortie',
    genre: 'Genre',
    label: 'Label',
    score: 'Note Pitchfork',
    reviewer: 'Critique de',
    file: 'Ouvrir la pochette',
    original: 'Pochette d’origine',
    newTab: 's’ouvre dans un nouvel onglet',
    loading: 'Chargement de l’album…',
  },
  problems: {
    retry: 'Réessayer',
    retryIn: (seconds) => `Réessayer dans ${String(seconds)} s`,
    byItself: (seconds) =>
      seconds < 2
        ? 'Nouvel essai automatique dans 1 seconde.'
        : `Nouvel essai automatique dans ${String(seconds)} secondes.`,
    whenOnline: 'Nouvel essai automatique dès que vous êtes en ligne.',
    other: 'Choisir une autre image',
    dismiss: 'Fermer',
    said: 'Ce que dit le serveur',
    requestId: 'Requête',
    key: { label: 'Votre clé', use: 'Continuer' },
    codes: {
      invalid_parameter: {
        title: 'Cette recherche n’est pas valide',
        advice: 'Changez les mots ou les filtres, puis cherchez de nouveau.',
      },
      missing_file: {
        title: 'L’image n’est pas arrivée',
        advice: 'Choisissez-la de nouveau.',
      },
      unexpected_field: {
        title: 'Le serveur n’attendait pas cet envoi',
        advice: 'Rechargez la page : elle est peut-être plus ancienne que le serveur.',
      },
      too_many_files: {
        title: 'Il y avait plus d’une image',
        advice: 'Cherchez avec une seule à la fois.',
      },
      empty_file: {
        title: 'Ce fichier est vide',
        advice: 'Choisissez une autre image.',
      },
      malformed_upload: {
        title: 'L’envoi est endommagé',
        advice: 'Réessayez.',
      },
      upload_incomplete: {
        title: 'L’envoi a été interrompu',
        advice: 'Vérifiez votre connexion, puis réessayez.',
      },
      upload_too_large: {
        title: 'Ce fichier est trop gros',
        advice: 'Enregistrez-le d’abord en JPEG : 1024 pixels sur le grand côté suffisent.',
      },
      not_an_image: {
        title: 'Ce fichier n’est pas une image',
        advice: 'Choisissez un JPEG, PNG, WebP, AVIF, HEIC, TIFF ou GIF.',
      },
      unsupported_image: {
        title: 'Ce format d’image n’est pas pris en charge',
        advice: 'Choisissez un JPEG, PNG, WebP, AVIF, HEIC, TIFF ou GIF.',
      },
      unreadable_image: {
        title: 'Cette image est endommagée',
        advice: 'Choisissez-en une autre copie.',
      },
      image_too_large: {
        title: 'Cette image a trop de pixels',
        advice: 'Choisissez-en une plus petite : 1024 pixels sur le grand côté suffisent.',
      },
      route_not_found: {
        title: 'Le service est introuvable',
        advice: 'La page utilise peut-être une mauvaise adresse : prévenez son administrateur.',
      },
      album_not_found: {
        title: 'Cet album n’existe pas',
        advice: 'Le lien vise peut-être un autre catalogue. Lancez une nouvelle recherche.',
      },
      cover_not_found: {
        title: 'La pochette de cet album manque',
        advice: 'Sa fiche contient peut-être un lien vers l’originale.',
      },
      uploads_disabled: {
        title: 'Les envois de ce type sont désactivés',
        advice: 'Rechargez la page : elle est peut-être plus ancienne que le serveur.',
      },
      upload_not_found: {
        title: 'L’image n’est plus disponible',
        advice: 'Choisissez-la de nouveau.',
      },
      method_not_allowed: {
        title: 'Le serveur n’attendait pas cette requête',
        advice: 'Rechargez la page : elle est peut-être plus ancienne que le serveur.',
      },
      range_not_satisfiable: {
        title: 'Le serveur n’attendait pas cette requête',
        advice: 'Rechargez la page.',
      },
      precondition_failed: {
        title: 'La pochette a changé',
        advice: 'Rechargez la page.',
      },
      invalid_request: {
        title: 'Le serveur n’a pas compris la requête',
        advice: 'Changez la recherche, ou rechargez la page.',
      },
      unauthorized: {
        title: 'Une clé d’API est requise',
        advice: 'Saisissez votre clé. Elle est oubliée à la fermeture de l’onglet.',
      },
      rate_limited: {
        title: 'Trop de recherches',
        advice: 'Le nombre de recherches par minute est limité. Patientez un instant.',
      },
      busy: {
        title: 'Le service est très sollicité',
        advice: 'Patientez un instant.',
      },
      starting: {
        title: 'Le service démarre encore',
        advice: 'Il charge son modèle : quelques secondes suffisent.',
      },
      out_of_time: {
        title: 'Cela a pris trop de temps',
        advice: 'Le service chargeait encore. Le prochain essai sera plus rapide.',
      },
      encoder_lost: {
        title: 'Le modèle s’est arrêté',
        advice: 'Il a été relancé : le prochain essai devrait aboutir.',
      },
      invalid_config: {
        title: 'Le service est mal configuré',
        advice: 'Vous ne pouvez rien y faire : prévenez l’administrateur du service.',
      },
      assets_missing: {
        title: 'Il manque des fichiers au service',
        advice: 'Vous ne pouvez rien y faire : prévenez l’administrateur du service.',
      },
      assets_inconsistent: {
        title: 'Les fichiers du service ne correspondent pas entre eux',
        advice: 'Vous ne pouvez rien y faire : prévenez l’administrateur du service.',
      },
      index_unreadable: {
        title: 'L’index des pochettes est illisible',
        advice: 'Vous ne pouvez rien y faire : prévenez l’administrateur du service.',
      },
      model_unreadable: {
        title: 'Le modèle est illisible',
        advice: 'Vous ne pouvez rien y faire : prévenez l’administrateur du service.',
      },
      catalog_unreadable: {
        title: 'La liste des albums est illisible',
        advice: 'Vous ne pouvez rien y faire : prévenez l’administrateur du service.',
      },
      storage_unavailable: {
        title: 'Le stockage des fichiers est indisponible',
        advice: 'Réessayez dans un instant.',
      },
      internal_error: {
        title: 'Quelque chose s’est mal passé dans le service',
        advice:
          'Réessayez. Si le problème persiste, signalez-le avec le numéro de requête ci-dessous.',
      },
      not_a_picture: {
        title: 'Ce fichier n’est pas une image',
        advice: 'Choisissez un JPEG, PNG, WebP, AVIF, HEIC, TIFF ou GIF.',
      },
      picture_too_large: {
        title: 'Ce fichier est trop gros',
        advice: 'Choisissez une image de moins de 100 Mo.',
      },
      nothing_to_read: {
        title: 'Aucune image trouvée',
        advice: 'Enregistrez d’abord l’image dans un fichier, puis déposez ou collez ce fichier.',
      },
      camera_denied: {
        title: 'L’appareil photo est bloqué',
        advice:
          'Autorisez-le dans les réglages du navigateur pour cette page, ou choisissez une image.',
      },
      camera_missing: {
        title: 'Aucun appareil photo n’est disponible',
        advice: 'Un autre programme l’utilise peut-être. Vous pouvez choisir une image.',
      },
      key_refused: {
        title: 'Cette clé n’est pas valide',
        advice: 'Vérifiez-la, ou demandez-en une autre à l’administrateur du service.',
      },
      offline: {
        title: 'Vous êtes hors ligne',
        advice: 'Vérifiez votre connexion.',
      },
      unreachable: {
        title: 'Le service est injoignable',
        advice: 'Vérifiez votre connexion, ou réessayez dans un instant.',
      },
      timed_out: {
        title: 'Le service n’a pas répondu',
        advice: 'La connexion est peut-être lente. Réessayez.',
      },
    },
  },
};
