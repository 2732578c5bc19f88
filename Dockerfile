# The service as one image: the server on port 7860, or any of its functions on AWS Lambda.
#   docker build -t shazam-visual .                       with what is in models/ and images/ (a Space builds this)
#   docker build -t shazam-visual --target runtime .      without the user's files (for Lambda, or to mount them)
# docs/deploy-space.md and docs/deploy-aws.md say more.

FROM node:24-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
    g++ make cmake python3 xz-utils libfaiss-dev libopenblas0-pthread \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
# LanceDB, only if asked for (docs/lance.md): 160 MB.
ARG LANCE=
RUN [ -z "$LANCE" ] || npm install --no-save -P --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error @lancedb/lancedb@0.31.0
# Lambda's runtime client is C++; it is built against this Node's own headers.
RUN cd node_modules/aws-lambda-ric \
 && ./scripts/preinstall.sh > /tmp/ric.log 2>&1 \
 && npm_config_nodedir=/usr/local ./scripts/postinstall.sh >> /tmp/ric.log 2>&1 \
 || { tail -n 40 /tmp/ric.log; exit 1; }
COPY infra/build-faiss.mjs infra/build-identify.mjs infra/apt.mjs infra/
COPY native native
RUN node infra/build-faiss.mjs && node infra/build-identify.mjs
COPY tsconfig.json ./
COPY infra infra
COPY functions functions
COPY lib lib
COPY pipeline pipeline
COPY web web
COPY cli cli
COPY models/starter models/starter
RUN node infra/bundle.mjs \
 && STARTER_DIR=models/starter node dist/infra/prepare-starter.cjs \
 && mkdir /out \
 && node infra/runtime-modules.mjs /out/node_modules \
 && cp -r models/starter /out/starter \
 && mkdir /out/dist /out/models /out/images \
 && cp -r build /out/build \
 && cp -r dist/functions dist/workers dist/web /out/dist/ \
 && rm /out/dist/functions/*.map /out/dist/workers/*.map \
 && cp infra/entrypoint.sh infra/healthcheck.mjs package.json /out/

# A CLIP model baked in, so that nothing has to be fetched at run time: see infra/fetch-model.mjs.
FROM node:24-bookworm-slim AS model
ARG MODEL_URL=
ARG MODEL_DTYPE=q8
ARG MODEL_SHA256=
COPY infra/fetch-model.mjs ./
RUN node fetch-model.mjs /model

FROM node:24-bookworm-slim AS runtime
RUN apt-get update \
 && apt-get install -y --no-install-recommends libopenblas0-pthread libgomp1 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
WORKDIR /app
COPY --from=build --chown=1000:1000 /out ./
ENV NODE_ENV=production \
    PORT=7860 \
    MODELS_DIR=/app/models \
    IMAGES_DIR=/app/images \
    STARTER_DIR=/app/starter \
    WEB_DIR=/app/dist/web
USER 1000:1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["node", "/app/healthcheck.mjs"]
ENTRYPOINT ["/app/entrypoint.sh"]

FROM runtime AS space
COPY --from=model --chown=1000:1000 /model ./models
COPY --chown=1000:1000 models ./models
COPY --chown=1000:1000 images ./images
