//! `PackageService` and `PackageManagementService`.

use crate::{ApiError, LedgerApi, convert::timestamp, error::refused};
use base::PackageId;
use canton_proto::com::daml::ledger::api::v2::{
    GetPackageRequest, GetPackageResponse, GetPackageStatusRequest, GetPackageStatusResponse, HashFunction,
    ListPackagesRequest, ListPackagesResponse, ListVettedPackagesRequest, ListVettedPackagesResponse, PackageStatus,
    admin::{
        ListKnownPackagesRequest, ListKnownPackagesResponse, PackageDetails, UpdateVettedPackagesRequest,
        UpdateVettedPackagesResponse, UploadDarFileRequest, UploadDarFileResponse, ValidateDarFileRequest,
        ValidateDarFileResponse, package_management_service_server::PackageManagementService,
    },
    package_service_server::PackageService,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl PackageService for LedgerApi {
    async fn list_packages(&self, _: Request<ListPackagesRequest>) -> Result<Response<ListPackagesResponse>, Status> {
        let packages = self.ledger.packages().await.map_err(ApiError::from)?;
        let package_ids = packages.into_iter().map(|p| p.id.to_string()).collect();
        Ok(Response::new(ListPackagesResponse { package_ids }))
    }

    async fn get_package(&self, request: Request<GetPackageRequest>) -> Result<Response<GetPackageResponse>, Status> {
        let id: PackageId = request.into_inner().package_id.parse().map_err(ApiError::id("package_id"))?;
        let payload = self.ledger.package(&id).await.map_err(ApiError::from)?;
        let payload = payload.ok_or_else(|| ApiError::NoPackage(id.to_string()))?;
        Ok(Response::new(GetPackageResponse {
            hash_function: HashFunction::Sha256.into(),
            archive_payload: payload.to_vec(),
            hash: id.to_string(),
        }))
    }

    async fn get_package_status(
        &self,
        request: Request<GetPackageStatusRequest>,
    ) -> Result<Response<GetPackageStatusResponse>, Status> {
        let id: PackageId = request.into_inner().package_id.parse().map_err(ApiError::id("package_id"))?;
        let known = self.ledger.packages().await.map_err(ApiError::from)?.iter().any(|p| p.id == id);
        let status = if known { PackageStatus::Registered } else { PackageStatus::Unspecified };
        Ok(Response::new(GetPackageStatusResponse { package_status: status.into() }))
    }

    async fn list_vetted_packages(
        &self,
        _: Request<ListVettedPackagesRequest>,
    ) -> Result<Response<ListVettedPackagesResponse>, Status> {
        Err(rpc::unimplemented("PackageService/ListVettedPackages"))
    }
}

#[tonic::async_trait]
impl PackageManagementService for LedgerApi {
    async fn list_known_packages(
        &self,
        _: Request<ListKnownPackagesRequest>,
    ) -> Result<Response<ListKnownPackagesResponse>, Status> {
        let packages = self.ledger.packages().await.map_err(ApiError::from)?;
        let package_details = packages
            .into_iter()
            .map(|p| PackageDetails {
                package_id: p.id.to_string(),
                package_size: p.size,
                known_since: Some(timestamp(p.uploaded)),
                name: p.name.map(|n| n.to_string()).unwrap_or_default(),
                version: p.version.map(|v| v.to_string()).unwrap_or_default(),
            })
            .collect();
        Ok(Response::new(ListKnownPackagesResponse { package_details }))
    }

    async fn upload_dar_file(
        &self,
        request: Request<UploadDarFileRequest>,
    ) -> Result<Response<UploadDarFileResponse>, Status> {
        self.writes.upload_dar(request.into_inner().dar_file.into(), false).await.map_err(refused)?;
        Ok(Response::new(UploadDarFileResponse {}))
    }

    async fn validate_dar_file(
        &self,
        request: Request<ValidateDarFileRequest>,
    ) -> Result<Response<ValidateDarFileResponse>, Status> {
        let dar = request.into_inner().dar_file.into();
        self.writes.upload_dar(dar, true).await.map_err(refused)?;
        Ok(Response::new(ValidateDarFileResponse {}))
    }

    async fn update_vetted_packages(
        &self,
        _: Request<UpdateVettedPackagesRequest>,
    ) -> Result<Response<UpdateVettedPackagesResponse>, Status> {
        Err(rpc::unimplemented("PackageManagementService/UpdateVettedPackages"))
    }
}
