import { static as serveFolder, Router } from 'express';
import swaggerUiFolder from 'swagger-ui-dist/absolute-path.js';
import { name, version } from '../../version.ts';
import type { HttpContext } from '../context.ts';
import { allowOnly } from '../middleware.ts';
import { endpoints, openApiDocument } from '../openapi.ts';
import { frameAncestors } from '../page-policy.ts';
import { prefersHtml } from './page.ts';

/** `GET /`, `/openapi.json` and `/docs`: the service's description. */
export function rootRouter({ config, services }: HttpContext): Router {
  return Router()
    .get('/', async (request, response) => {
      response.vary('Accept');
      if (prefersHtml(request)) {
        response.redirect(`${request.baseUrl}/docs`); // the page is not built: see routes/page.ts
        return;
      }
      const { origin } = await services.assets();
      response.json({
        name,
        version,
        albums_indexed: await services.corpus.size(),
        model:
          origin === 'starter'
            ? 'starter set: a small model and made-up covers, because MODELS_DIR has no files'
            : `CLIP from MODELS_DIR (${config.dtype ?? 'first dtype present'})`,
        starter_set: origin === 'starter',
        endpoints,
      });
    })
    .get('/openapi.json', (_request, response) => {
      response.json(openApiDocument(config));
    })
    .get('/docs', (_request, response) => {
      response
        .set('Content-Security-Policy', `${docsPolicy}; ${frameAncestors}`)
        .type('html')
        .send(docsPage);
    })
    .get('/docs/start.js', (_request, response) => {
      response.type('text/javascript').send(docsScript);
    })
    .use('/docs/', serveFolder(swaggerUiFolder(), { index: false, maxAge: '1d' }))
    .all(['/', '/openapi.json', '/docs'], allowOnly('GET', 'HEAD'));
}

/** Swagger UI sets inline styles and uses data URLs for icons; nothing comes from other origins. */
const docsPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'";

const docsPage = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Shazam Visual: the API</title>
    <link rel="stylesheet" href="docs/swagger-ui.css" />
    <link rel="icon" href="docs/favicon-32x32.png" />
  </head>
  <body>
    <div id="docs"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
`;

const docsScript = `SwaggerUIBundle({ url: 'openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null });\n`;
