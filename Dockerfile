# The image that `make image` makes, for who has a container engine:
#
#   docker build --build-arg COMMIT="$(git rev-parse HEAD)" --tag tap-operator:0.1.0 .
#
# It has the same files, user and entrypoint. It is not the same to the last bit, because the C toolchain of this base
# differs from that of another machine, and engines write times of their own.

FROM rust:1.95.0-bookworm AS program
WORKDIR /src
COPY . .
ARG COMMIT=unknown
RUN TAP_OPERATOR_COMMIT="$COMMIT" deploy/release/program tap-operator >/program-path && cp "$(cat /program-path)" /tap-operator

FROM golang:1.26-bookworm AS files
WORKDIR /src/deploy/image
COPY deploy/image .
COPY --from=program /tap-operator /tap-operator
RUN go run . -program /tap-operator -architecture "$(go env GOARCH)" -root /root-of-the-image

FROM scratch
COPY --from=files /root-of-the-image /
USER 65532:0
WORKDIR /
ENTRYPOINT ["/tap-operator"]
