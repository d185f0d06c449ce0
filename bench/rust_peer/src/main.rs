//! `rust-peer MODEL.json PORT`: one thread that serves CSV, `instances` and the Open Inference Protocol.

mod trees;

use std::convert::Infallible;
use std::rc::Rc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{server::conn::http1, service::service_fn, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use trees::Forest;

#[derive(Deserialize)]
struct Instances {
    instances: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Input {
    data: Vec<f32>,
}

#[derive(Deserialize)]
struct Inputs {
    inputs: [Input; 1],
}

#[derive(Serialize)]
struct Output {
    name: &'static str,
    datatype: &'static str,
    shape: [usize; 2],
    data: Vec<f32>,
}

fn answer(forest: &Forest, path: &str, body: &[u8]) -> Option<(String, &'static str)> {
    let flat: Vec<f32> = match path {
        "/invocations" => std::str::from_utf8(body)
            .ok()?
            .split([',', '\n'])
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?,
        "/predict" => serde_json::from_slice::<Instances>(body).ok()?.instances.concat(),
        "/v2/models/model/infer" => {
            let [input] = serde_json::from_slice::<Inputs>(body).ok()?.inputs;
            input.data
        }
        _ => return None,
    };
    if flat.is_empty() || flat.len() % forest.features != 0 {
        return None;
    }
    let found: Vec<f32> = flat.chunks_exact(forest.features).map(|row| forest.predict(row)).collect();
    match path {
        "/invocations" => {
            let lines: Vec<String> = found.iter().map(f32::to_string).collect();
            Some((lines.join("\n"), "text/csv"))
        }
        "/predict" => Some((serde_json::json!({ "predictions": found }).to_string(), "application/json")),
        _ => {
            let output = Output { name: "predict", datatype: "FP32", shape: [found.len(), 1], data: found };
            let document = serde_json::json!({ "model_name": "model", "outputs": [output] });
            Some((document.to_string(), "application/json"))
        }
    }
}

async fn serve(forest: Rc<Forest>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path == "/ping" {
        return Ok(Response::new(Full::default()));
    }
    let found = match request.into_body().collect().await {
        Ok(body) => answer(&forest, &path, &body.to_bytes()),
        Err(_) => None,
    };
    let response = match found {
        Some((text, media)) => Response::builder().header("content-type", media).body(Full::from(text)),
        None => Response::builder().status(StatusCode::BAD_REQUEST).body(Full::default()),
    };
    Ok(response.expect("a response of constant parts"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    let [_, model, port] = words.as_slice() else { panic!("usage: rust-peer MODEL.json PORT") };
    let forest = Rc::new(Forest::read(model));
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("the port is taken");
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                stream.set_nodelay(true).ok();
                let forest = forest.clone();
                tokio::task::spawn_local(async move {
                    let service = service_fn(move |request| serve(forest.clone(), request));
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        })
        .await;
}
